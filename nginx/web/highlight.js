// Colours in code. Prism takes it apart into tokens; here they become elements. Each language is fetched when it is first met.

import { h } from './dom.js';

/** What a language's file builds on. */
const needs = {
    markup: [], css: [], clike: [], python: [], bash: [], json: [], sql: [], swift: [], rust: [], yaml: [], diff: [], docker: [],
    javascript: ['clike'], typescript: ['javascript'], java: ['clike'], c: ['clike'], cpp: ['c'], csharp: ['clike'], go: ['clike'],
    ruby: ['clike'], kotlin: ['clike'],
};
const names = {
    html: 'markup', xml: 'markup', svg: 'markup', js: 'javascript', jsx: 'javascript', mjs: 'javascript', ts: 'typescript', tsx: 'typescript',
    py: 'python', sh: 'bash', shell: 'bash', zsh: 'bash', console: 'bash', 'c++': 'cpp', 'c#': 'csharp', cs: 'csharp', golang: 'go', rs: 'rust',
    rb: 'ruby', yml: 'yaml', kt: 'kotlin', dockerfile: 'docker', patch: 'diff', postgresql: 'sql', jsonc: 'json',
};
const longest = 20_000; // characters; more would hold up the page
const loading = new Map();

/** Colours an element's text, once its language is there. One that is not known stays as it is. */
export async function highlight(element, name) {
    const language = names[name.toLowerCase()] ?? name.toLowerCase();
    const text = element.textContent;
    if (!Object.hasOwn(needs, language) || text.length > longest) return;
    try {
        await load(language);
    } catch {
        loading.clear(); // no network: it is readable as it is, and the next block tries again
        return;
    }
    if (element.textContent === text) element.replaceChildren(...colored(Prism.tokenize(text, Prism.languages[language])));
}

function load(language) {
    if (!loading.has(language)) loading.set(language, (async () => {
        if (language !== 'core') for (const needed of ['core', ...needs[language]]) await load(needed);
        // Prism's files are scripts of the old kind, which share a global: the core makes it where it finds one named `global`.
        if (language === 'core') Object.assign(globalThis, { global: globalThis, Prism: { manual: true } });
        await import(`./vendor/prism/prism-${language}.min.js`);
    })());
    return loading.get(language);
}

function colored(tokens) {
    return [tokens].flat().map((token) => typeof token === 'string' ? token
        : h('span', { class: `token ${token.type}` }, colored(token.content)));
}
