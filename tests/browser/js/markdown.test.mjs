import assert from "node:assert/strict";
import { test } from "node:test";

import { closed, parse, parseOn, settled, shownText } from "../../../web/markdown.js";

const SEEDS = 3_000;
const PIECES = [
  ...["$", "$$", "\\(", "\\)", "\\[", "\\]", "*", "**", "_", "~~", "`", "``", "```", "[", "]", "(https://a.b)", "\\", "<br>", "!", "|", "|-|-|", "---", "#", "# "],
  ...["\n", "\n\n", "- ", "- [ ] ", "1. ", "2. ", "> ", "  ", "    ", "a", "b c", "é🦊", "漢字。", "https://x.y", "<b>"],
];

/** As HTML would say it. */
const html = (text, nodes) => nodes.map((node) => (node.tag ? element(text, node) : text.slice(node.start, node.end))).join("");

function element(text, { tag, children, href, first, language, align, task, display }) {
  const about = Object.entries({ href, first, language, align, task, display }).filter(([, value]) => value);
  return `<${tag}${about.map(([name, value]) => ` ${name}=${value}`).join("")}>${html(text, children)}</${tag}>`;
}

const GOLDEN = [
  ["## One ##\n# #two# #  \n### #\n# C#", "<h4>One</h4><h3>#two#</h3><h5></h5><h3>C#</h3>"],
  ["```` py title=`x`\nnext", "<p>```` py title=<code>x</code>\nnext</p>"],
  ["```py  title\nx\n```", "<pre language=py>x\n</pre>"],
  ["## Hi *you*\nthere", "<h4>Hi <em>you</em></h4><p>there</p>"],
  ["**bold *and it* x** ***both*** ~~no~~ `c*d*`", "<p><strong>bold <em>and it</em> x</strong> <em><strong>both</strong></em> <del>no</del> <code>c*d*</code></p>"],
  ["2 * 3 * 4 and snake_case_name and 5 ~ 6", "<p>2 * 3 * 4 and snake_case_name and 5 ~ 6</p>"],
  ["**粗体。**后面", "<p><strong>粗体。</strong>后面</p>"],
  ["\\*no\\* and a lone ** and `", "<p>*no* and a lone ** and `</p>"],
  ["1. one\n2. two\n   - a\n   - b\n3. three", "<ol first=1><li>one</li><li>two<ul><li>a</li><li>b</li></ul></li><li>three</li></ol>"],
  ["1. one\n  - a\n  - b", "<ol first=1><li>one<ul><li>a</li><li>b</li></ul></li></ol>"],
  ["- a\n\n- b\n\n  more", "<ul><li><p>a</p></li><li><p>b</p><p>more</p></li></ul>"],
  ["- [ ] a\n- [x] *b*\n- [x](https://a.b)\n- [c] d", "<ul><li task=open>a</li><li task=done><em>b</em></li><li><a href=https://a.b>x</a></li><li>[c] d</li></ul>"],
  ["It was\n14. of May\nor 1984. Yes", "<p>It was\n14. of May\nor 1984. Yes</p>"],
  ["> quote *em\n> on*\nlazy\n\nend", "<blockquote><p>quote <em>em\non</em>\nlazy</p></blockquote><p>end</p>"],
  ["| a | b |\n|---|--:|\n| `x|y` | **2** |\n| 3 |\n\np", "<table><thead><tr><th>a</th><th align=right>b</th></tr></thead><tbody><tr><td><code>x|y</code></td><td align=right><strong>2</strong></td></tr><tr><td>3</td></tr></tbody></table><p>p</p>"],
  ["```py\ndef f():\n  pass\n```\nafter", "<pre language=py>def f():\n  pass\n</pre><p>after</p>"],
  ["~~~\n# still open", "<pre># still open</pre>"],
  ["one\n\n\n\n\ntwo", "<p>one</p><p>two</p>"],
  ["one\n\n---\n\n\n\ntwo", "<p>one</p><hr></hr><p>two</p>"],
  ["[l](https://a.b/c_(d)) <https://x.y>", "<p><a href=https://a.b/c_(d)>l</a> <<a href=https://x.y>https://x.y</a>></p>"],
  ["See https://x.y/z?a=b. Or (https://x.y).", "<p>See <a href=https://x.y/z?a=b>https://x.y/z?a=b</a>. Or (<a href=https://x.y>https://x.y</a>).</p>"],
  ["![alt](https://p.q)", "<p><a href=https://p.q>alt</a></p>"],
  ["[x](javascript:alert(1)) [y](data:text/html,z) [z](//evil)", "<p>[x](javascript:alert(1)) [y](data:text/html,z) [z](//evil)</p>"],
  ["a<br>b <b onclick=\"x\">c</b>", "<p>a<br></br>b <b onclick=\"x\">c</b></p>"],
  ["Wax [1], flowers [2].", "<p>Wax [1], flowers [2].</p>"],
  ["Let $x_1 + *y*_2$ be, and $$z_1^*$$.", "<p>Let <math>x_1 + *y*_2</math> be, and <math display=true>z_1^*</math>.</p>"],
  ["**So** \\(a_1\\) *is* \\[b_2\\]; \\(no and \\[no.", "<p><strong>So</strong> <math>a_1</math> <em>is</em> <math display=true>b_2</math>; (no and [no.</p>"],
  ["$$\na\n+ b_1\n\\\\\n- c\n$$\nThen", "<math display=true>\na\n+ b_1\n\\\\\n- c\n</math><p>Then</p>"],
  ["So:\n\\[ x \\]\n- $y$ is\n\n  $$z$$\n> $$\n> w\n> $$", "<p>So:</p><math display=true> x </math><ul><li><p><math>y</math> is</p><math display=true>z</math></li></ul><blockquote><math display=true>\nw\n</math></blockquote>"],
  ["$$\nnot closed\n- at all\n\n- next", "<p>$$\nnot closed\n- at all</p><ul><li>next</li></ul>"],
  ["It costs $5 and $10, US$5 or 7$, $5-$6, $5 then 6$, $HOME and $PATH.", "<p>It costs $5 and $10, US$5 or 7$, $5-$6, $5 then 6$, $HOME and $PATH.</p>"],
  ["`$x$` \\$x$ $ y$ $y $ $$ $x\ny$ $100$", "<p><code>$x$</code> $x$ $ y$ $y $ $$ $x\ny$ <math>100</math></p>"],
];

for (const [text, expected] of GOLDEN) {
  test(`reads ${JSON.stringify(text)}`, () => assert.equal(html(text, parse(text)), expected));
}

/** The same pieces for the same seed. */
function jumbled(seed) {
  let state = seed + 1;
  const next = (below) => (state = (state * 48_271) % 2_147_483_647) % below;
  return Array.from({ length: next(40) + 1 }, () => PIECES[next(PIECES.length)]).join("");
}

const leavesOf = (nodes) => nodes.flatMap((node) => (node.children ? leavesOf(node.children) : [node]));

test("leaves are ranges of the source, in its order, that never overlap", () => {
  for (let seed = 0; seed < SEEDS; seed += 1) {
    const text = jumbled(seed);
    let last = 0;
    for (const { start, end } of leavesOf(parse(text))) {
      assert.ok(last <= start && start <= end && end <= text.length, JSON.stringify(text));
      last = end;
    }
  }
});

test("letters are never lost", () => {
  const letters = (text) => [...text.replaceAll(/https?:\/\/a\.b|<br>/g, "").matchAll(/[\p{L}]/gu)].join("");
  for (let seed = 0; seed < SEEDS; seed += 1) {
    const text = jumbled(seed).replaceAll(/`{2,}|~{3,}/g, "`"); // the first line of a fence names a language
    if (text.includes("|")) continue; // a row may have more cells than its table
    assert.equal(letters(shownText(text, parse(text)).replaceAll("https://a.b", "")), letters(text), JSON.stringify(text));
  }
});

test("a text that grows is read as it would be at once", () => {
  for (let seed = 0; seed < SEEDS; seed += 1) {
    const text = jumbled(seed);
    const cut = Math.floor((text.length * (seed % 10)) / 10);
    assert.deepEqual(parseOn(text, parse(text.slice(0, cut))), parse(text), JSON.stringify([text, cut]));
  }
});

test("the time it takes grows with the text, however the text is made", () => {
  const time = (text) => {
    const began = performance.now();
    parse(text);
    return performance.now() - began;
  };
  for (const piece of ["*a ", "[", "``a`", "> ", "- ", "_a*b~~", "[a](", "a\n", "- a\n", "| a ", "1. a\n\n", "(", "https://("]) {
    const [short, long] = [2_000, 20_000].map((length) => Math.min(...[1, 2, 3].map(() => time(piece.repeat(length)))));
    assert.ok(long < 100 * (short + 2), `${piece}: ${short} and ${long} ms`);
  }
});

test("the time one long line takes grows with the line", () => {
  const time = (text) => {
    const began = performance.now();
    parse(text);
    return performance.now() - began;
  };
  const lines = {
    "heading with blanks inside": (length) => `# a${" ".repeat(length)}b`,
    "heading with marks inside": (length) => `# a ${"#".repeat(length)}b`,
    "fence that names a long language": (length) => `\`\`\`${"a".repeat(length)}\``,
    "fence with blanks": (length) => `\`\`\`a${" ".repeat(length)}\``,
    "fence of many waves": (length) => `${"~".repeat(length)}\``,
    "row of delimiters with blanks": (length) => `a|b\n-${" ".repeat(length)}b`,
    "formulas that nothing closes": (length) => "\\(a \\[b $$c $d ".repeat(length / 16),
    "formulas in a link that are closed behind it": (length) => `[${"\\(".repeat(length / 5)}](http://x)${"a".repeat(length / 2)}\\)`,
    "address with marks inside": (length) => `https://a${".".repeat(length)}b`,
  };
  for (const [name, line] of Object.entries(lines)) {
    const [short, long] = [4_000, 100_000].map((length) => Math.min(...[1, 2, 3].map(() => time(line(length)))));
    assert.ok(long < 100 * (short + 2), `${name}: ${short} and ${long} ms`);
  }
});

test("spans lie in each other only so deep", () => {
  const depth = (nodes) => Math.max(0, ...nodes.map(({ children }) => (children ? 1 + depth(children) : 0)));
  const texts = ["*a ".repeat(5_000) + "a* ".repeat(5_000), `${"*".repeat(8_000)}a${"*".repeat(8_000)}`];
  for (const text of texts) assert.ok(depth(parse(text)) < 50);
});

test("of a text that grows only that is shown which will stay where it is", () => {
  for (const [text, shown] of [
    ["Hel", ""],
    ["Hello wor", "Hello "],
    ["see [the gui", "see "],
    ["1.", ""],
    ["| a | b |\n|--", ""],
    ["| a | b |\n|---|---|\n", "| a | b |\n|---|---|\n"],
    ["| a | b |\n|---|---|\n| c | d |", "| a | b |\n|---|---|\n"],
    ["灯塔看守人", "灯塔看守人"],
    ["x".repeat(100), "x".repeat(20)],
  ]) assert.equal(settled(text), shown);
});

test("what is emphasised is so from its first word on", () => {
  const read = (text) => html(text, parse(closed(text)));
  assert.equal(read("a **bold "), "<p>a <strong>bold</strong></p>");
  assert.equal(read("- *it "), "<ul><li><em>it</em></li></ul>");
  assert.equal(read("a `b "), "<p>a <code>b</code></p>");
  assert.equal(read("2 ** 3 "), "<p>2 ** 3 </p>");
});

// By the square of its length it would take hours: test_javascript_modules.py ends the process before.
test("a long text that grows is looked at once", () => {
  for (const piece of ["*a ", "`a *b **c", " **x", "[x", "| "]) {
    const text = piece.repeat(500_000);
    assert.ok(closed(text).length >= settled(text).length);
  }
});
