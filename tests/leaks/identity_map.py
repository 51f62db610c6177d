"""A SQLAlchemy session for the whole process: what was added and not committed stays in it."""

from __future__ import annotations

from sqlalchemy import String, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from leaks.culprit import Culprit

CULPRIT = Culprit(path="sys.modules['leaks.identity_map'].session", holds="InstanceState", count=3000)
REQUESTS = 3000


class Base(DeclarativeBase):
    """Of all tables."""


class Order(Base):
    """An order."""

    __tablename__ = "orders"
    number: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(String(100))


session = Session(create_engine("sqlite://"), autoflush=False)


def serve(numbers: range) -> None:
    """Every request adds an order; nobody commits."""
    Base.metadata.create_all(session.get_bind())
    for number in numbers:
        session.add(Order(number=number, text=f"order {number} of somebody"))
