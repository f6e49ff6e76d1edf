// What the page says beside the conversation: to those who see it, and to those who listen.

import { $, h, iconButton } from './dom.js';

/** Has a screen reader say it when it has finished what it is saying. */
export function announce(text) {
    $('#live').textContent = '';
    setTimeout(() => { $('#live').textContent = text; }, 50); // the same words again are news too
}

/** A line that goes by itself, but not from under a hand; `action` is {label, run}. The next one takes its place. */
export function notice(text, action) {
    const close = () => line.remove();
    const line = h('div', { class: 'notice' }, h('p', {}, text),
        action && h('button', { type: 'button', class: 'quiet', onclick: () => { close(); action.run(); } }, action.label),
        iconButton('close', 'Dismiss', close));
    $('#notices').replaceChildren(line);
    announce(text);
    const end = () => line.matches(':hover, :focus-within') ? setTimeout(end, 2_000) : close();
    setTimeout(end, action ? 10_000 : 6_000);
}

/** Says what went wrong with something that has no place of its own for it. What is no answer of the server's is a mistake here. */
export function noticeProblem(problem) {
    notice(problem.status === undefined ? 'Something went wrong on this page.' : problem.message);
    if (problem.status === undefined) console.error(problem);
}

const losses = new Set();

/** The connection that `who` needs is lost, or there again: as long as anybody's is lost, the page says so. */
export function setLost(who, isLost) {
    const were = losses.size;
    if (isLost) losses.add(who);
    else losses.delete(who);
    if (!were === !losses.size) return;
    $('#lost').hidden = !losses.size;
    announce(losses.size ? 'The connection is lost. Trying to reconnect.' : 'Connected again.');
}

/** The line that says it, for the top of the page. */
export const lostLine = () => h('div', { id: 'lost', class: 'lost', hidden: !losses.size },
    h('p', {}, 'The connection is lost. Reconnecting…'),
    h('button', { type: 'button', class: 'quiet', onclick: () => dispatchEvent(new Event('try-now')) }, 'Try now'));
