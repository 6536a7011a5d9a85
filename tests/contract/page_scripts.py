"""What tests of pages ask a browser, in JavaScript."""

WIDER_THAN_PAGE = """
[...document.querySelectorAll('main *')]
  .filter(e => !e.closest('.scroll, svg') && e.getBoundingClientRect().right > innerWidth + 0.5)
  .map(e => e.outerHTML.slice(0, 120))
"""

RUN_AXE = """
axe.run().then(result => ({
  passes: result.passes.length,
  violations: result.violations.map(v => [v.id, v.impact, v.nodes.map(n => n.html.slice(0, 120))]),
}))
"""

FIGURES = """
[...document.querySelectorAll('figure svg[role=img], figure img')].map(e => {
  const box = e.getBoundingClientRect();
  return {
    tag: e.tagName, width: box.width, height: box.height, right: box.right,
    text: e.getAttribute('aria-label') || e.getAttribute('alt') || '',
    strokes: e.querySelectorAll('path, use').length,
  };
})
"""

CONTRASTS = """
(() => {
  const channels = text => text.match(/[0-9.]+/g).slice(0, 3).map(Number);
  const light = text => channels(text)
    .map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ratio = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  const paper = light(getComputedStyle(document.body).backgroundColor);
  const found = [];
  for (const e of document.querySelectorAll('svg text')) {
    const colour = getComputedStyle(e).fill;
    found.push(['letters', colour, ratio(light(colour), paper)]);
  }
  for (const e of document.querySelectorAll('.swatch')) {
    const colour = getComputedStyle(e).backgroundColor;
    found.push(['condition', colour, ratio(light(colour), paper)]);
  }
  return found;
})()
"""
