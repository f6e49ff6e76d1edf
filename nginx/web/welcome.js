import { h } from './dom.js';

const ideas = ['Explain how a hash table works, with a small example', 'Draft a polite reminder about an unpaid invoice', 'Plan three days in Lisbon on foot'];

/** What stands where there are no messages yet; `propose` is called with an idea that was chosen. */
export const welcome = (propose) => h('div', { class: 'welcome' },
    h('h2', {}, 'What is on your mind?'), h('p', {}, 'Ask anything. The chat gets its title by itself.'),
    h('div', { class: 'ideas' }, ideas.map((idea) => h('button', { type: 'button', class: 'idea', onclick: () => propose(idea) }, idea))));
