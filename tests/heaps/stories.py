"""The heaps of the two stories, at any size, on CPython 3.8 and later, with their numbers known by construction.

*Two stores*: an XML module store is loaded twice; `xmodule.modulestore.django` holds the first, and
`open_ended_grading.utils`, through a chain of services, a second that nobody meant to have.

*The chain*: each of many requests leaks a `CombinedSystem` (with ``__slots__``) whose runtime's ``__dict__`` leads to
the one before: a singly linked list thousands of links long.

What a builder makes for one store alone it enters in that store's `Ledger`; what it shares between stores (constants,
attribute names, classes) it does not. So the number of objects that go when the store goes is known without any tool.
"""

from __future__ import annotations

import gc
import sys
import types
from collections import namedtuple
from typing import Any, TypeVar

Made = TypeVar("Made")


class Ledger:
    """Counts the objects that were made for one purpose and that nothing else holds."""

    def __init__(self) -> None:
        self.plain = 0
        self.instances = 0

    def new(self, made: Made) -> Made:
        """Enters one object that has no attribute dict."""
        self.plain += 1
        return made

    def instance(self, made: Made) -> Made:
        """Enters one object with attributes: up to CPython 3.10 its ``__dict__`` is an object too."""
        self.instances += 1
        return made

    def objects(self, version: tuple[int, int] = sys.version_info[:2]) -> int:
        """How many lines these objects have in a dump of this CPython version."""
        return self.plain + self.instances * (1 if version >= (3, 11) else 2)


class Attributes:
    """Anything with attributes; keeps the story's classes short."""

    def __init__(self, **attributes: Any) -> None:
        for name, value in attributes.items():
            setattr(self, name, value)


class MixedModuleStore(Attributes):
    """What an application asks for a course; it has several module stores behind it."""


class XMLModuleStore(Attributes):
    """Courses read from XML, every block of them in memory."""


class LibraryToolsService(Attributes):
    """A service that needs a store to look libraries up in."""


class LmsModuleSystem(Attributes):
    """The runtime that a block is shown in."""


class KvsFieldData(Attributes):
    """A block's fields, behind an interface."""


class InheritanceKeyValueStore(Attributes):
    """The fields themselves, with what is inherited."""


class BlockUsageLocator(Attributes):
    """Where a block is."""


class CombinedSystem:
    """Two runtimes looked at as one. Has no ``__dict__``, so the old tools could not see through it."""

    __slots__ = ("_descriptor_runtime", "_runtime")

    def __init__(self, runtime: Any, descriptor_runtime: Any) -> None:
        self._runtime = runtime
        self._descriptor_runtime = descriptor_runtime


ScopeIds = namedtuple("ScopeIds", ["user_id", "block_type", "def_id", "usage_id"])
BLOCK_KINDS = ("Capa", "Course", "CustomTag", "Discussion", "Html", "Sequence", "Vertical", "Video")
DESCRIPTORS = tuple(
    type(kind + "DescriptorWithMixins", (Attributes,), {"__module__": "xblock.internal"}) for kind in BLOCK_KINDS
)
SHARED_SETTINGS = {"graded": False, "showanswer": "attempted", "rerandomize": "never", "days_early_for_beta": None}
OBJECTS_PER_BLOCK = 30
FIRST_STORE_HOLDER = "xmodule.modulestore.django"
SECOND_STORE_HOLDER = "open_ended_grading.utils"
CHAIN_HOLDER = "lms.djangoapps.instructor_task"
CHAIN_NAMES = ("student", "scores", "grades", "descriptor_runtime")
"""The names every link of the chain uses, held here too: code objects hold their constants unseen by `tp_traverse`, so
a dump would show them as held by the chain alone."""


def make_module(name: str) -> Any:
    """A module that can be imported by this name and that nothing but `sys.modules` holds."""
    module = types.ModuleType(name)
    sys.modules[name] = module
    return module


def make_block(number: int, course: dict[str, Any], ledger: Ledger) -> Any:
    """One block of a course: a descriptor and all that hangs on it."""
    new, instance = ledger.new, ledger.instance
    kind = number % len(BLOCK_KINDS)
    block_id = new(f"{BLOCK_KINDS[kind].lower()}_{number:08x}")
    location = instance(BlockUsageLocator(course_key=course["id"], block_type=BLOCK_KINDS[kind], block_id=block_id))
    file_names = new([new(f"{BLOCK_KINDS[kind]}/{block_id}.xml"), None])
    tags = new([new(f"tag {number}"), new(f"section {number // 10}")])
    fields = new(
        {
            "display_name": new(f"Unit {number}, as its author named it"),
            "tags": tags,
            "xml_attributes": new({"filename": file_names, "url_name": block_id}),
            "markdown": None,
        }
    )
    inherited = new(dict(SHARED_SETTINGS))
    store = instance(InheritanceKeyValueStore(_fields=fields, inherited_settings=inherited))
    return instance(
        DESCRIPTORS[kind](
            runtime=course,
            location=location,
            scope_ids=new(ScopeIds(None, BLOCK_KINDS[kind], location, location)),
            name=new(block_id.encode()),
            children=new([]),
            cached_settings=new(dict.fromkeys(SHARED_SETTINGS, course)),
            field_data=instance(KvsFieldData(_kvs=store)),
            field_data_cache=new({"weight": new(number + 0.5), "due": new(number + 1000), "tags": tags}),
            dirty_fields=new({}),
            history=new([new((new(f"edit {number}"), new(number + 2000))), new({"by": new(f"author {number}")})]),
        )
    )


def make_xml_store(blocks: int, first: int, ledger: Ledger) -> XMLModuleStore:
    """A store of `blocks` blocks numbered from `first`, with every object it alone holds entered in `ledger`."""
    new = ledger.new
    course = new({"id": new(f"edX/course-{first}")})
    modules: dict[Any, Any] = new({})
    previous = None
    for number in range(first, first + blocks):
        block = make_block(number, course, ledger)
        modules[block.location] = block
        if previous is not None and number % 5:
            previous.children.append(block.location)
        previous = block
    return ledger.instance(XMLModuleStore(courses=new({course["id"]: course}), modules=modules))


def build_two_stores(objects: int) -> Ledger:
    """Makes about `objects` objects, half of them in each store. Returns the second store's ledger.

    To be built once in a process: it registers its two modules.
    """
    blocks = max(1, objects // OBJECTS_PER_BLOCK // 2)
    collecting = gc.isenabled()
    gc.disable()
    first = MixedModuleStore(modulestores=[make_xml_store(blocks, 0, Ledger())], mappings={})
    ledger = Ledger()
    second = MixedModuleStore(modulestores=[make_xml_store(blocks, blocks, ledger)], mappings={})
    make_module(FIRST_STORE_HOLDER)._MIXED_MODULESTORE = first
    services = {"library_tools": LibraryToolsService(store=second), "i18n": None}
    make_module(SECOND_STORE_HOLDER).system = LmsModuleSystem(_services=services)
    if collecting:
        gc.enable()
    return ledger


def build_chain(links: int) -> Ledger:
    """Makes a chain of `links` pairs of `LmsModuleSystem` and `CombinedSystem`. Returns the chain's ledger."""
    ledger = Ledger()
    student_name, scores_name, grades_name, descriptor_name = CHAIN_NAMES
    runtime: Any = None
    for number in range(links):
        combined = ledger.new(CombinedSystem(runtime, DESCRIPTORS))
        scores: list[float] = ledger.new([ledger.new(number + part / 8) for part in range(4)])
        grades = ledger.new({student_name: ledger.new(f"student {number}"), scores_name: scores})
        runtime = ledger.instance(LmsModuleSystem(**{descriptor_name: combined, grades_name: grades}))
    make_module(CHAIN_HOLDER).descriptor = DESCRIPTORS[0](xmodule_runtime=runtime)
    return ledger
