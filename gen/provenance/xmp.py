"""XMP, the metadata of image files as XML (ISO 16684-1): a packet with the record, and the properties in any packet.

Other programs write a packet anew: with other prefixes, with properties as attributes, in another order. It is read by
a parser, never by its looks; and as it may be hostile, without document types, which could make entities grow, and with
bounds on its size and depth.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from xml.parsers import expat

from gen.provenance.record import PREFIX, SOURCE_TYPES, Record

NAMESPACES = {
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "xmpRights": "http://ns.adobe.com/xap/1.0/rights/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "exifEX": "http://cipa.jp/exif/1.0/",
    "aux": "http://ns.adobe.com/exif/1.0/aux/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "gen": "urn:uuid:6c1f3f7e-54b1-4a52-9a34-0f6f1f0b7d2e#",  # ours: of nobody's web site
}
RECORD, DESCRIPTION, SOURCE_TYPE = "gen:record", "dc:description", "Iptc4xmpExt:DigitalSourceType"
# Of the properties that hold a list: how (a sequence, a set, or one text in several languages). Others hold a text.
_LISTS = {
    "dc:creator": "Seq",
    "dc:subject": "Bag",
    "dc:rights": "Alt",
    "dc:title": "Alt",
    DESCRIPTION: "Alt",
    "xmpRights:UsageTerms": "Alt",
    "xmpRights:Owner": "Bag",
}
LARGEST = 2**21  # bytes of a packet that is read
_DEEPEST = 32  # levels of elements
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_LANGUAGE = "http://www.w3.org/XML/1998/namespace lang"
_PREFIXES = {uri: prefix for prefix, uri in NAMESPACES.items()}
_BEGIN = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    f'<rdf:RDF xmlns:rdf="{_RDF}"><rdf:Description rdf:about=""'
)
_END = "</rdf:Description></rdf:RDF></x:xmpmeta>\n<?xpacket end="
Properties = Mapping[str, Sequence[str]]  # "dc:creator" -> its texts


def packet(record: Record, properties: Properties | None = None, *, writable: bool = True) -> bytes:
    """Returns a packet with the record, what it says by properties that others know, and further ones.

    properties: texts without control characters. writable: whether it says that it may be changed in place; that of a
    GIF may not.
    """
    found: dict[str, Sequence[str]] = {}
    if tool := record.get(PREFIX + "version"):
        found["xmp:CreatorTool"] = [f"gen {tool}"]
    if date := record.get(PREFIX + "date"):
        found["xmp:MetadataDate"] = [str(date)]
    if kind := record.get(PREFIX + "digital_source_type"):
        found[SOURCE_TYPE] = [f"{SOURCE_TYPES}{kind}"]
    found |= {name: texts for name, texts in (properties or {}).items() if texts}
    if record:
        found[RECORD] = [json.dumps(record)]
    used = dict.fromkeys(name.partition(":")[0] for name in found)
    names = "".join(f' xmlns:{prefix}="{NAMESPACES[prefix]}"' for prefix in used)
    body = "".join(_element(name, texts) for name, texts in found.items())
    return f'{_BEGIN}{names}>{body}{_END}"{"w" if writable else "r"}"?>'.encode()


def _element(name: str, texts: Sequence[str]) -> str:
    kind = _LISTS.get(name)
    if kind is None:
        return f"<{name}>{_escaped(texts[0])}</{name}>"
    item = '<rdf:li xml:lang="x-default">' if kind == "Alt" else "<rdf:li>"
    items = "".join(f"{item}{_escaped(text)}</rdf:li>" for text in (texts[:1] if kind == "Alt" else texts))
    return f"<{name}><rdf:{kind}>{items}</rdf:{kind}></{name}>"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def properties(content: Any) -> dict[str, list[str]]:
    """Reads the properties of NAMESPACES in a packet, text or bytes; {} for what is no packet; never raises.

    Those of a list are its items, of several languages the default one first. Structures are left out.
    """
    data = content.encode("utf-8", "replace") if isinstance(content, str) else content
    if not isinstance(data, bytes) or len(data) > LARGEST:
        return {}
    start, end = data.find(b"<"), data.rfind(b">")
    reader = _Reader()
    try:
        reader.read(data[start : end + 1] if start >= 0 else b"")
    except (expat.ExpatError, _Refused, LookupError, ValueError):  # of an encoding that is none, too
        return {}
    return reader.found


class _Refused(Exception):
    """The packet is not read."""


class _Open(NamedTuple):
    """An element that is being read."""

    name: str
    text: list[str]
    language: str


class _Reader:
    """Collects properties: the attributes of each description, and its elements with their text or items."""

    def __init__(self) -> None:
        self.found: dict[str, list[str]] = {}
        self._path: list[_Open] = []
        self._top = 0  # length of the path to the description that is read; 0: none is

    def read(self, data: bytes) -> None:
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._refuse
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.Parse(data, True)

    def _refuse(self, *_: Any) -> None:
        raise _Refused

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._path) >= _DEEPEST:
            raise _Refused
        parent = self._path[-1].name if self._path else ""
        self._path.append(_Open(name, [], attributes.get(_LANGUAGE, "")))
        if not self._top and (parent, name) == (f"{_RDF} RDF", f"{_RDF} Description"):
            self._top = len(self._path)
            for key, value in attributes.items():
                self._add(key, value)
        elif self._top and len(self._path) == self._top + 1:
            self._add(name, attributes.get(f"{_RDF} resource", ""))

    def _text(self, text: str) -> None:
        if self._path:
            self._path[-1].text.append(text)

    def _end(self, name: str) -> None:
        level = len(self._path) - self._top if self._top else 0
        element = self._path.pop()
        text = "".join(element.text).strip()
        if level == 1:  # a property
            self._add(name, text)
        elif level == 3 and name == f"{_RDF} li":  # an item of its list
            self._add(self._path[-2].name, text, first=element.language == "x-default")
        elif len(self._path) < self._top:
            self._top = 0

    def _add(self, name: str, text: str, *, first: bool = False) -> None:
        uri, _, local = name.rpartition(" ")
        if (prefix := _PREFIXES.get(uri)) and text:
            texts = self.found.setdefault(f"{prefix}:{local}", [])
            texts.insert(0 if first else len(texts), text)
