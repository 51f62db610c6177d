"""A heap of what extensions made by generators have: lxml and YAML's loader (Cython), an aiohttp server in flight.

Classes of Cython have traverses and sizes of their own making; aiohttp brings `multidict`, `yarl`,
`frozenlist`, `propcache`.
"""

from __future__ import annotations

import asyncio
from typing import Any, Callable

from oracle.in_flight import InFlight


def trees() -> list[Any]:
    """lxml: documents, proxies of elements, a tree with classes of ours, XPath, XSLT, an iterator half-way, errors."""
    from lxml import etree, objectify

    document = etree.fromstring(b"<?pi x?><!--c--><a xmlns:p='u' k='v'><p:b>text</p:b>tail<c/><c>&#20013;</c></a>")

    class Ours(etree.ElementBase):  # type: ignore[misc, unused-ignore]
        pass

    lookup = etree.ElementNamespaceClassLookup()
    lookup.get_namespace("u")["b"] = Ours
    parser = etree.XMLParser(remove_blank_text=True)
    parser.set_element_class_lookup(lookup)
    own = etree.fromstring(b"<a xmlns='u'><b/><b/></a>", parser)
    kept = list(own.iter())
    walking = document.iter()
    next(walking)
    try:
        etree.fromstring(b"<a><b></a>")
    except etree.XMLSyntaxError as error:
        failure = error
    sheet = "<x:stylesheet version='1.0' xmlns:x='http://www.w3.org/1999/XSL/Transform'/>"
    transform = etree.XSLT(etree.XML(sheet))
    feeding = etree.XMLPullParser(("start", "end"))
    feeding.feed("<r><s>half")
    return [
        [document, list(document), document.attrib, document.nsmap, walking, document.getroottree()],
        [own, kept, parser, lookup, failure, failure.error_log],
        [etree.XPath("//p:b", namespaces={"p": "u"}), document.xpath("//c/text()"), transform, transform(document)],
        [feeding, feeding.read_events(), objectify.fromstring("<r><n>5</n><n>x</n></r>").n],
    ]


def yaml_documents() -> list[Any]:
    """YAML's loader in C, half-way through a stream."""
    import yaml

    loader = yaml.CSafeLoader("a: &x [1, 2]\nb: *x\n---\nc: {d: e}\n")
    first = loader.get_data()
    return [loader, first, loader.peek_event(), yaml.compose("[a, {b: c}]", Loader=yaml.CSafeLoader)]


class Server(InFlight):
    """aiohttp in flight, on a thread of its own: requests that wait for an answer, a websocket, an open session."""

    async def _wait(self, request: Any) -> Any:
        from aiohttp import web

        body = await request.text()
        self.arrived.release()
        await self.end.wait()
        return web.json_response({"body": body, "query": dict(request.query)})

    async def _socket(self, request: Any) -> Any:
        from aiohttp import web

        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data)
        return socket

    async def _serve(self) -> None:
        import aiohttp
        from aiohttp import web

        self.end, self.arrived = asyncio.Event(), asyncio.Semaphore(0)
        application = web.Application()
        application.add_routes([web.post("/{what}/wait", self._wait), web.get("/socket", self._socket)])
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        self.session = aiohttp.ClientSession(f"http://{host}:{port}", headers={"X-Kept": "v"})
        self.requests = [
            asyncio.ensure_future(self.session.post(f"/{number}/wait", params={"q": "é"}, data={"form": "x" * number}))
            for number in range(20)
        ]
        self.socket = await self.session.ws_connect("/socket")
        await self.socket.send_str("said")
        self.echo = await self.socket.receive()
        for _ in self.requests:
            await self.arrived.acquire()
        self.loop.call_soon(self.ready.set)
        await self.end.wait()


def use() -> list[Any]:
    """Everything above, held."""
    makers: list[Callable[[], Any]] = [trees, yaml_documents, Server]
    return [make() for make in makers]
