"""SVG: references of every kind, entities, scripts, bombs."""

import gzip
from xml.sax.saxutils import quoteattr

from . import add, case
from .packages import entities

SVG = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:xi="http://www.w3.org/2001/XInclude"'
BOUNDED = "completed corrupt_input too_complex timed_out engine_crashed"
REFUSED = "type_mismatch"


def svg(body, head="", size=64):
    return f'<?xml version="1.0"?>{head}<svg {SVG} width="{size}" height="{size}">{body}</svg>'.encode()


REFERENCES = {
    "image": lambda u: f'<image width="64" height="64" xlink:href={quoteattr(u)}/>',
    "image-svg2": lambda u: f'<image width="64" height="64" href={quoteattr(u)}/>',
    "use": lambda u: f'<use xlink:href={quoteattr(u + "#r")} width="64" height="64"/>',
    "fe-image": lambda u: f'<filter id="f"><feImage xlink:href={quoteattr(u)}/></filter><rect width="64" height="64" filter="url(#f)"/>',
    "css-url": lambda u: f'<rect width="64" height="64" style={quoteattr(f"fill: url({u}#r)")}/>',
    "css-import": lambda u: f"<style>@import url('{u}');</style><rect width='64' height='64'/>",
    "css-escaped": lambda u: f"<style>@\\69mport u\\72l('{u}');</style><rect width='64' height='64'/>",
    "font-face": lambda u: f"<style>@font-face {{ font-family: f; src: url('{u}') }}</style><text y='20' font-family='f'>x</text>",
    "xinclude": lambda u: f'<text y="20"><xi:include href={quoteattr(u)} parse="text"/></text>',
    "entity-escaped": lambda u: '<image width="64" height="64" xlink:href="' + "".join(f"&#{ord(x)};" for x in u) + '"/>',
    "gradient": lambda u: f'<linearGradient id="g" xlink:href={quoteattr(u + "#r")}/><rect width="64" height="64" fill="url(#g)"/>',
    "foreign-object": lambda u: '<foreignObject width="64" height="64"><iframe xmlns="http://www.w3.org/1999/xhtml" '
                                f'src={quoteattr(u)}/></foreignObject>',
    "tref": lambda u: f'<text y="20"><tref xlink:href={quoteattr(u)}/></text>',
}

KINDS = {"use": "svg", "css-import": "css", "css-escaped": "css", "xinclude": "txt", "css-url": "svg", "gradient": "svg",
         "foreign-object": "html", "tref": "svg"}
for name, reference in REFERENCES.items():
    add(f"svg-{name}", "a.svg", "png", REFUSED, lambda c, name=name, reference=reference:
        svg("".join(reference(u) for u in c.everywhere(KINDS.get(name, "png")))))


@case("svg-stylesheet", "a.svg", "png", REFUSED)
def _(c):
    return svg('<rect width="9" height="9"/>', "".join(f'<?xml-stylesheet href={quoteattr(u)} type="text/css"?>' for u in c.everywhere("css")))


@case("svg-xml-base", "a.svg", "png", "completed type_mismatch")
def _(c):
    return svg(f'<g xml:base="file://{c.folder}/"><image width="64" height="64" xlink:href="canary.png"/></g>')


@case("svg-script", "a.svg", "webp", "completed")
def _(c):
    return svg("<script>fetch('" + c.remote()[0] + "')</script><rect width='9' height='9' onload=\"fetch('x')\"/>"
               f"<a xlink:href='{c.remote()[0]}'><text y='20'>a link is no reference</text></a>")


for how in ("bomb", "remote", "local"):
    add(f"svg-entity-{how}", "a.svg", "png", REFUSED, lambda c, how=how: svg(
        "<text y='20'>&leak;</text>", entities("svg", "bomb" if how == "bomb" else c.remote("txt")[0] if how == "remote" else c.local("txt")[0])))


@case("svg-parameter-entity", "a.svg", "png", REFUSED)
def _(c):
    return svg("<text y='20'>&leak;</text>", f'<!DOCTYPE svg [<!ENTITY % d SYSTEM "{c.local("dtd")[0]}"> %d;]>')


@case("svg-external-subset", "a.svg", "png", "completed")
def _(c):
    """The DTD is named and never read: drawing programs write such lines, with the W3C's address."""
    return svg("<rect width='9' height='9'/>", f'<!DOCTYPE svg SYSTEM "{c.remote("dtd")[0]}">')


@case("svg-entity-in-utf16", "a.svg", "png", REFUSED)
def _(c):
    return ('<?xml version="1.0" encoding="UTF-16"?>' + entities("svg", c.local("txt")[0])
            + f'<svg {SVG} width="64" height="64"><text y="20">&leak;</text></svg>').encode("utf-16")


@case("svg-gzip-bomb", "a.svg", "png", "type_mismatch corrupt_input")
def _(c):
    return gzip.compress(svg("<g>" + " " * 200_000_000 + "</g>"), 9)


@case("svgz", "a.svgz", "png", "unsupported_type")
def _(c):
    return gzip.compress(svg("<rect/>"))


@case("svg-huge", "a.svg", "png", "too_complex corrupt_input")
def _(c):
    return svg("<rect width='9' height='9'/>", size=1000000)


@case("svg-deep", "a.svg", "png", BOUNDED)
def _(c):
    return svg("<g>" * 50000 + "</g>" * 50000)


@case("svg-use-bomb", "a.svg", "png", BOUNDED)
def _(c):
    groups = "".join(f'<g id="g{i}">' + f'<use xlink:href="#g{i - 1}"/>' * 10 + "</g>" for i in range(1, 12))
    return svg(f'<defs><g id="g0"><rect width="9" height="9"/></g>{groups}</defs><use xlink:href="#g11"/>')


@case("svg-use-loop", "a.svg", "png", BOUNDED)
def _(c):
    return svg('<g id="a"><use xlink:href="#b"/></g><g id="b"><use xlink:href="#a"/></g>'
               '<pattern id="p" width="1" height="1" fill="url(#p)"><rect width="64" height="64" fill="url(#p)"/></pattern>'
               '<rect width="64" height="64" fill="url(#p)"/>')


@case("svg-blur", "a.svg", "png", BOUNDED)
def _(c):
    filters = "".join(f'<feGaussianBlur stdDeviation="{1000 + i}"/><feTurbulence numOctaves="100" baseFrequency="0.5"/>' for i in range(100))
    return svg(f'<filter id="f" x="-1000%" y="-1000%" width="3000%" height="3000%">{filters}</filter>'
               '<rect width="9000" height="9000" filter="url(#f)"/>', size=9000)
