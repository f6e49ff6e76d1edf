// Markdown, shown. marked says what a text is made of (its tokens); the elements are made here, one by one, from a short list.
// HTML within a text is shown as the text it is, links lead to the web or to mail, pictures are links: nothing of a reply runs or is loaded.

import { h, icon } from './dom.js';
import { highlight } from './highlight.js';
import { boundedLexer } from './lexer.js';

const library = () => import('./vendor/marked/marked.esm.js'); // fetched when there is first something to show
let lexer = null;

/** What stands in an element now: the text, and the source of each block. */
const shown = new WeakMap();

/**
 * Shows `text`, which is Markdown, in `element`. It may be called again with more of it as it grows: blocks that are as they
 * were stay untouched, and so does what is selected there.
 */
export async function renderMarkdown(text, element) {
    const state = shown.get(element) ?? { blocks: [] };
    state.text = text;
    shown.set(element, state);
    if (!lexer) {
        if (!state.blocks.length) element.textContent = text; // plain, until it can be done better
        const marked = await library().catch(() => null);
        if (!marked) return; // without a network it stays plain, and the next text tries again
        lexer ??= boundedLexer(marked);
        text = state.text; // more may have come meanwhile
    }
    const all = lexer(text);
    const tokens = all.filter(isSeen);
    // Where a link leads may be said after it.
    const links = JSON.stringify(all.links);
    const sources = tokens.map((token) => token.raw + links);
    let same = 0;
    while (same < sources.length && sources[same] === state.blocks[same]) same++;
    if (!state.blocks.length) element.replaceChildren();
    while (element.childNodes.length > same) element.lastChild.remove();
    element.append(...tokens.slice(same).map((token) => block(token)));
    state.blocks = sources;
}

/** One node for each block. */
function block(token) {
    switch (token.type) {
        case 'heading': return h(`h${Math.min(token.depth + 2, 6)}`, {}, inline(token.tokens));
        case 'paragraph': return h('p', {}, inline(token.tokens));
        case 'text': return h('p', {}, inline(token.tokens ?? [token]));
        case 'blockquote': return h('blockquote', {}, blocks(token.tokens));
        case 'code': return code(token);
        case 'hr': return h('hr');
        case 'list': return list(token);
        case 'table': return table(token);
        case 'rest': return h('p', { class: 'rest' }, token.raw);
        default: return h('p', {}, token.raw.trim()); // html
    }
}

/** Spaces between blocks and definitions of links are not. */
const isSeen = ({ type }) => type !== 'space' && type !== 'def';
const blocks = (tokens) => tokens.filter(isSeen).map(block);

function list({ ordered, start, loose, items }) {
    const attributes = ordered && start > 1 ? { start } : {};
    return h(ordered ? 'ol' : 'ul', attributes, items.map((item) => {
        const box = item.task && h('input', { type: 'checkbox', disabled: true, checked: item.checked, 'aria-label': item.checked ? 'done' : 'to do' });
        const parts = item.tokens.filter(isSeen).map((token) => token.type === 'text' && !loose ? inline(token.tokens ?? [token]) : block(token));
        return h('li', {}, box, parts.flat());
    }));
}

function table({ header, rows, align }) {
    const row = (cells, name) => h('tr', {}, cells.map((cell, column) =>
        h(name, { class: align[column] && `to-${align[column]}`, scope: name === 'th' && 'col' }, inline(cell.tokens))));
    return h('div', { class: 'table', tabindex: 0, role: 'region', 'aria-label': 'Table' },
        h('table', {}, h('thead', {}, row(header, 'th')), h('tbody', {}, rows.map((cells) => row(cells, 'td')))));
}

function code({ text, lang }) {
    const language = /^[\w+#.-]{1,20}/.exec(lang ?? '')?.[0] ?? '';
    const content = h('code', {}, text);
    if (language) highlight(content, language);
    const copy = h('button', { type: 'button', class: 'quiet', onclick: () => copied(copy, text) }, icon('copy'), h('span', {}, 'Copy'));
    return h('div', { class: 'code' },
        h('div', { class: 'code-head' }, h('span', {}, language), copy),
        h('pre', { tabindex: 0, role: 'region', 'aria-label': language ? `Code, ${language}` : 'Code' }, content));
}

async function copied(button, text) {
    const label = button.querySelector('span');
    try {
        await navigator.clipboard.writeText(text);
        label.textContent = 'Copied';
    } catch {
        label.textContent = 'Not allowed here';
    }
    setTimeout(() => { label.textContent = 'Copy'; }, 2_000);
}

function inline(tokens) {
    return (tokens ?? []).map((token) => {
        switch (token.type) {
            case 'strong': return h('strong', {}, inline(token.tokens));
            case 'em': return h('em', {}, inline(token.tokens));
            case 'del': return h('del', {}, inline(token.tokens));
            case 'codespan': return h('code', {}, decoded(token.text));
            case 'br': return h('br');
            case 'link': return link(token.href, inline(token.tokens));
            case 'image': return link(token.href, ['🖼 ', decoded(token.text) || 'picture']);
            case 'rest': return token.raw;
            case 'html': return /^<br *\/?>$/i.test(token.raw) ? h('br') : token.raw;
            default: return decoded(token.text ?? token.raw);
        }
    });
}

/** A link where it leads somewhere harmless, else just its words. */
function link(href, children) {
    let url = null;
    try {
        url = new URL(decoded(href));
    } catch { /* it leads to no other place */ }
    if (!['https:', 'http:', 'mailto:'].includes(url?.protocol)) return h('span', {}, children);
    return h('a', { href: url.href, target: '_blank', rel: 'noopener noreferrer nofollow' }, children);
}

const entities = {
    amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: '\u00a0', copy: '©', reg: '®', trade: '™', deg: '°', middot: '·', bull: '•',
    hellip: '…', ndash: '–', mdash: '—', lsquo: '‘', rsquo: '’', ldquo: '“', rdquo: '”', laquo: '«', raquo: '»', times: '×', divide: '÷',
    plusmn: '±', le: '≤', ge: '≥', ne: '≠', asymp: '≈', infin: '∞', larr: '←', rarr: '→', uarr: '↑', darr: '↓', euro: '€', pound: '£',
    sect: '§', para: '¶', frac12: '½', micro: 'µ', pi: 'π', sum: '∑', radic: '√',
};

/** marked escapes texts for HTML; here they become text again, and so do the entities that people write. */
function decoded(text) {
    return text.replace(/&(?:#(\d{1,7})|#x([\da-f]{1,6})|(\w{2,8}));/gi, (whole, decimal, hex, name) => {
        if (name) return Object.hasOwn(entities, name) ? entities[name] : whole;
        const point = decimal ? Number(decimal) : parseInt(hex, 16);
        return point > 0 && point <= 0x10ffff ? String.fromCodePoint(point) : whole;
    });
}
