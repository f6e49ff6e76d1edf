// The pages of the settings; each part is a module of its own, fetched when it is opened.

import { isMissing } from './api.js';
import { $, h } from './dom.js';
import { noticeProblem } from './notices.js';

const parts = {
    account: ['Account', () => import('./account.js')],
    plan: ['Plan', () => import('./plan.js')],
    security: ['Security', () => import('./security.js')],
    shared: ['Shared', () => import('./shares.js')],
    data: ['Data', () => import('./data.js')],
};

/** Shows one of them within `main`; what is returned ends it. */
export function showSettings(main, bar, part) {
    const name = Object.hasOwn(parts, part) ? part : 'account';
    const [title, load] = parts[name];
    const heading = h('h1', { tabindex: -1 }, 'Settings');
    const page = h('div', { class: 'page' });
    bar.append(heading);
    main.append(bar, h('nav', { class: 'tabs', 'aria-label': 'Settings' }, Object.entries(parts).map(([part, [title]]) =>
        h('a', { href: `#/settings/${part}`, 'aria-current': part === name && 'page' }, title))), page);
    $('[aria-current]', main).scrollIntoView({ inline: 'center' });
    document.title = `${title} · Settings`;
    heading.focus();
    load().then(({ sections }) => page.append(...sections())).catch(noticeProblem);
    return () => {};
}

/** A part of a page under its heading. */
export const section = (title, ...content) => h('section', {}, h('h2', {}, title), content);

/** A part whose content comes from the server: `load` returns it. What is not there in this installation takes the part away. */
export function lateSection(title, load) {
    const element = section(title, h('p', {}, 'Loading…'));
    const refresh = async () => {
        try {
            element.replaceChildren(element.firstChild, ...[await load(refresh)].flat().filter(Boolean));
        } catch (problem) {
            const page = element.parentElement;
            if (isMissing(problem)) element.remove();
            else element.replaceChildren(element.firstChild, h('p', { class: 'problem' }, problem.message),
                h('button', { type: 'button', class: 'quiet', onclick: refresh }, 'Try again'));
            if (problem.status === undefined) console.error(problem);
            if (!page.children.length) page.append(h('p', { class: 'empty' }, 'This is not available here.'));
        }
    };
    refresh();
    return element;
}
