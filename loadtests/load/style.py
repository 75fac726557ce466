"""The style sheet of reports (light and dark, one column on a phone), and of pictures by themselves."""

from typing import Final

COLOURS: Final = """
:root { color-scheme: light dark; --ground: #f6f7f9; --card: #ffffff; --ink: #1b1f27; --soft:
  #5c6573; --rule: #dfe3e9; --one: #2457c5; --two: #b4490b; --three: #17713a; --four: #7a3fa8;
  --bad: #c02222; --good: #17713a; --warn:
  #946200; }
@media (prefers-color-scheme: dark) { :root { --ground: #111418; --card: #1a1f26; --ink: #e7eaef;
  --soft: #9aa5b4; --rule: #2e3641; --one: #7aa7ff; --two: #ff9d5c; --three: #5fd38d;
  --four: #c79bff; --bad: #ff7b7b; --good: #5fd38d;
  --warn: #f0c14b; }
}
"""
DRAWING: Final = """
svg text { font-size: 10.5px; fill: var(--soft); }
.grid { stroke: var(--rule); stroke-width: 1; }
.bar { fill: var(--one); }
.mark { stroke: var(--two); stroke-width: 1.2; stroke-dasharray: 3 2; }
.kill { stroke: var(--bad); stroke-width: .7; stroke-opacity: .3; }
.line { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
.area { fill-opacity: .16; stroke: none; }
.one.line { stroke: var(--one); }
.two.line { stroke: var(--two); }
.three.line { stroke: var(--three); }
.four.line { stroke: var(--four); }
.bad.line { stroke: var(--bad); }
.warn.line { stroke: var(--warn); }
.one.area, .one.dot, .one.key { fill: var(--one); }
.two.area, .two.dot, .two.key { fill: var(--two); }
.three.area, .three.dot, .three.key { fill: var(--three); }
.four.dot, .four.key { fill: var(--four); }
.bad.area, .bad.dot, .bad.key { fill: var(--bad); }
.warn.area, .warn.dot, .warn.key { fill: var(--warn); }
.dot { fill-opacity: .75; }
"""
"""Of a picture, in the page or alone."""
STYLE: Final = f"""{COLOURS}{DRAWING}
* {{ box-sizing: border-box; }}
body {{ margin: 0; padding: 1.2rem clamp(.8rem, 3vw, 2.5rem) 3rem; background: var(--ground); color:
  var(--ink); font: 15px/1.45 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }}
main {{ max-width: 78rem; margin: 0 auto; }}
h1 {{ font-size: 1.45rem; margin: 0 0 .2rem; overflow-wrap: anywhere; }}
h2 {{ font-size: 1.1rem; margin: 2rem 0 .6rem; }}
h3 {{ font-size: .95rem; margin: 0; }}
p {{ margin: .3rem 0; }}
.soft, figcaption {{ color: var(--soft); font-size: .86rem; }}
code {{ font: .84rem ui-monospace, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }}
.verdict {{ display: inline-block; padding: .15rem .7rem; border-radius: 1rem; font-weight: 600;
  border: 2px solid; }}
.good {{ color: var(--good); }}
.bad {{ color: var(--bad); }}
.warn {{ color: var(--warn); }}
.tiles {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .7rem;
  margin: 1.1rem 0 0; }}
.tile, figure, .table {{ background: var(--card); border: 1px solid var(--rule); border-radius:
  .6rem; margin: 0; }}
.tile {{ padding: .6rem .8rem; }}
.tile b {{ display: block; font-size: 1.5rem; line-height: 1.25; font-weight: 650;
  font-variant-numeric: tabular-nums; }}
.tile span {{ color: var(--soft); font-size: .82rem; }}
.charts {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 21rem), 1fr));
  gap: .9rem; }}
figure {{ padding: .7rem .8rem .4rem; }}
figcaption {{ min-height: 2.6em; }}
svg {{ width: 100%; height: auto; display: block; }}
.figures {{ font-variant-numeric: tabular-nums; font-size: .86rem; margin: .2rem 0 .3rem; }}
.table + .table, .charts + .table {{ margin-top: .9rem; }}
.table {{ overflow-x: auto; padding: .2rem .4rem; }}
table {{ border-collapse: collapse; width: 100%; font-size: .9rem; }}
th, td {{ text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--rule);
  vertical-align: top; }}
tr:last-child td {{ border-bottom: 0; }}
th {{ color: var(--soft); font-weight: 600; font-size: .82rem; white-space: nowrap; }}
td.n, th.n {{ text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }}
"""
