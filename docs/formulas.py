"""Formulas that need no script and no network: LaTeX to MathML, and the letters of a mathematical font."""

import re
from base64 import b64encode
from html import unescape
from importlib.metadata import distribution
from io import BytesIO
from unicodedata import lookup

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont
from latex2mathml.converter import convert

# Browsers draw a one-letter <mi> with the italic letter, and a root with the radical: neither stands in the text.
DRAWN = "".join(map(chr, [0x221A, 0x210E, *range(0x1D434, 0x1D468), *range(0x1D6E2, 0x1D71C)]))
PRIME = '<mo lspace="0" rspace="0">&#x02032;</mo>'
CORRECTIONS = {
    # The font's prime is raised by itself.
    r"<msup>(<mi>[^<]*</mi>)<mi>&#x02032;</mi></msup>": rf"\1{PRIME}",
    r"<msubsup>(<mi>[^<]*</mi>)(<mi>[^<]*</mi>)<mi>&#x02032;</mi></msubsup>": rf"<msub><mrow>\1{PRIME}</mrow>\2</msub>",
    # A relation, and a bar that can grow over what it is above.
    r"<mi>&#x0007E;</mi>": "<mo>&#x0223C;</mo>",
    r"&#x02015;": "&#x0203E;",
    # Greek capitals are upright; names of functions and bars around a number have less space than a relation.
    r"<mi>(&#x003(?:9[1-9A-F]|A[0-9]);)</mi>": r'<mi mathvariant="normal">\1</mi>',
    r"<m[io][^>]*>(exp|ln|log|max|min|Pr)</m[io]>": r'<mo lspace="0.1em" rspace="0.1em">\1</mo>',
    r"<mo[^>]*>(&#x0007C;|&#x02016;)</mo>": r'<mo stretchy="false" lspace="0" rspace="0">\1</mo>',
}


def mathml(latex: str, *, block: bool = False) -> str:
    """Return a formula as MathML, corrected where browsers left the standard or TeX would space it differently.

    Parameters
    ----------
    latex : str
        The formula, without dollar signs.
    block : bool
        A formula on a line of its own.

    Examples
    --------
    >>> mathml(r"\\mathcal N")
    '<math xmlns="http://www.w3.org/1998/Math/MathML" display="inline"><mrow><mi>&#x1D4A9;</mi></mrow></math>'
    """
    found = convert(latex, display="block" if block else "inline")
    for pattern, replacement in CORRECTIONS.items():
        found = re.sub(pattern, replacement, found)
    return re.sub(r'<mi mathvariant="(?!normal)([a-z-]+)">([A-Za-z])</mi>', _styled, found)


def _styled(match: re.Match[str]) -> str:
    """Browsers have dropped ``mathvariant``, but draw the letters that Unicode has for it."""
    style, letter = match[1].upper(), match[2]
    name = f"{style} {'CAPITAL' if letter.isupper() else 'SMALL'} {letter.upper()}"
    try:
        found = lookup(f"MATHEMATICAL {name}")
    except KeyError:  # a few letters were in Unicode before the others
        found = lookup(name)
    return f"<mi>&#x{ord(found):X};</mi>"


def font_face(html: str) -> str:
    """Return CSS that embeds the letters of STIX Two Math which the formulas in ``html`` need.

    Brackets, roots and braces grow with what they hold only in a font that is made for formulas, and not every system
    has one. The font's licence, which travels in its name table, permits this.
    """
    formulas = "".join(re.findall(r"<math.*?</math>", html, re.DOTALL))
    options = Options(flavor="woff", hinting=False, layout_features=["ssty"], name_IDs=["*"])
    font = TTFont(distribution("ziamath").locate_file("ziamath/fonts/STIXTwoMath-Regular.ttf"), recalcTimestamp=False)
    letters = Subsetter(options)
    letters.populate(text=DRAWN + unescape(re.sub("<[^>]*>", "", formulas)))
    letters.subset(font)
    font.flavor, file = "woff", BytesIO()
    font.save(file)
    address = f"data:font/woff;base64,{b64encode(file.getvalue()).decode()}"
    return f'@font-face {{ font-family: "Formulas"; src: url({address}); }}\nmath {{ font: 1.1em "Formulas", math; }}'
