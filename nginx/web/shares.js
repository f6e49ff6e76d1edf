import { get, remove } from './api.js';
import { h, said } from './dom.js';
import { noticeProblem } from './notices.js';
import { titleOf } from './rooms.js';
import { lateSection } from './settings.js';
import { copyLink } from './share.js';

export const sections = () => [lateSection('Links to your chats', (refresh) => shares(null, refresh))];

async function shares(cursor, refresh) {
    const { shares: page, next_cursor } = await get(`/share${cursor ? `?cursor=${encodeURIComponent(cursor)}` : ''}`);
    if (!cursor && !page.length) return h('p', {}, 'You share nothing. A chat is shared from its menu.');
    const more = next_cursor && h('button', {
        type: 'button', class: 'quiet', onclick: async () => more.replaceWith(...await shares(next_cursor, refresh).catch((problem) => { noticeProblem(problem); return [more]; })),
    }, 'More');
    return [h('ul', { class: 'rows' }, page.map((share) => row(share, refresh))), more].filter(Boolean);
}

const row = ({ id, title, url, created_at, expires_at }, refresh) => h('li', {},
    h('div', {}, h('h3', {}, titleOf({ title })), h('p', {}, `Shared ${said(created_at, { dateStyle: 'medium' })}, ${expires_at ? `until ${said(expires_at, { dateStyle: 'medium' })}` : 'without an end'}`)),
    h('div', { class: 'actions' },
        url && h('button', { type: 'button', class: 'quiet', onclick: ({ currentTarget }) => copyLink(url, currentTarget) }, 'Copy'),
        h('button', { type: 'button', class: 'quiet is-danger', onclick: () => remove(`/share/${id}`).then(refresh).catch(noticeProblem) }, 'Revoke')));
