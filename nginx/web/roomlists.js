// The archive and the trash.

import { get, isMissing } from './api.js';
import { openForm } from './dialogs.js';
import { h, said } from './dom.js';
import { notice, noticeProblem } from './notices.js';
import { purgeRoom, restoreRoom, titleOf, updateRoom } from './rooms.js';

const kinds = {
    archive: {
        title: 'Archive', path: '/chatroom?archived=true', empty: 'Nothing is archived. What you archive stays whole, but out of your way.',
        time: ({ updated_at }) => `Last used ${said(updated_at)}`,
        actions: (room, done) => [
            action('Take out', () => updateRoom(room.id, { archived: false }), done),
            h('a', { class: 'button quiet', href: `#/room/${room.id}` }, 'Open'),
        ],
    },
    trash: {
        title: 'Trash', path: '/trash', empty: 'The trash is empty.',
        time: ({ deleted_at, purge_at }) => `Deleted ${said(deleted_at, { dateStyle: 'medium' })}; gone for good on ${said(purge_at, { dateStyle: 'medium' })}`,
        actions: (room, done) => [
            action('Restore', () => restoreRoom(room.id), done),
            h('button', { type: 'button', class: 'quiet is-danger', onclick: () => purge(room, done) }, 'Delete for good'),
        ],
    },
};

const action = (label, run, done) => h('button', {
    type: 'button', class: 'quiet', onclick: () => run().then(done).catch(noticeProblem),
}, label);

const purge = (room, done) => openForm('Delete for good?', {
    text: `“${titleOf(room)}” and all its messages will be gone. This can't be undone.`, submit: 'Delete for good', danger: true,
    onsubmit: async () => { await purgeRoom(room.id); done(); notice('Deleted.'); },
});

/** Shows one of them within `main`; what is returned ends it. */
export function showRoomList(main, bar, name) {
    const kind = kinds[name];
    const heading = h('h1', { tabindex: -1 }, kind.title);
    const list = h('ul', { class: 'rows' });
    const state = h('p', { class: 'empty' }, 'Loading…');
    bar.append(heading);
    main.append(bar, h('div', { class: 'page' }, list, state));
    document.title = kind.title;
    heading.focus();
    load(null);

    async function load(cursor) {
        try {
            const { chatrooms, next_cursor } = await get(kind.path + (cursor ? `${kind.path.includes('?') ? '&' : '?'}cursor=${encodeURIComponent(cursor)}` : ''));
            list.append(...chatrooms.map(row));
            state.replaceChildren(next_cursor ? h('button', { type: 'button', class: 'quiet', onclick: () => load(next_cursor) }, 'More') : list.children.length ? '' : kind.empty);
        } catch (problem) {
            state.textContent = isMissing(problem) ? 'This is not available here.' : problem.message;
        }
    }

    function row(room) {
        const item = h('li', {}, h('div', {}, h('h2', {}, titleOf(room)), h('p', {}, kind.time(room))), h('div', { class: 'actions' },
            kind.actions(room, () => {
                item.remove();
                heading.focus();
                if (!list.children.length) state.textContent = kind.empty;
            })));
        return item;
    }

    return () => {};
}
