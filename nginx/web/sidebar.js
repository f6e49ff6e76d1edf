import { $, h, icon, iconButton, said } from './dom.js';
import { openRoomMenu } from './roommenu.js';
import { noticeProblem } from './notices.js';
import { allRooms, hasMoreRooms, moreRooms, rooms, titleOf } from './rooms.js';
import { searchField } from './search.js';
import { sessions, user } from './session.js';

/** Shows the rooms within `aside`; what is returned ends it. */
export function showSidebar(aside) {
    const list = h('div', { class: 'room-list' });
    const results = h('div', { class: 'results', hidden: true });
    const account = h('a', { class: 'account', href: '#/settings/account' });
    aside.replaceChildren(
        h('a', { class: 'new-chat', href: '#/' }, icon('plus'), 'New chat'),
        searchField(results, (isSearching) => { list.hidden = isSearching; results.hidden = !isSearching; }),
        h('nav', { 'aria-label': 'Your chats' }, list, results),
        h('nav', { class: 'foot', 'aria-label': 'More' },
            h('a', { href: '#/archive' }, icon('archive'), 'Archive'), h('a', { href: '#/trash' }, icon('trash'), 'Trash'), account));

    const showRooms = () => list.replaceChildren(...sections());
    const showAccount = () => {
        const { username, mobile, tier } = user();
        account.replaceChildren(icon('gear'), h('span', { class: 'who' }, username || mobile), h('span', { class: 'tier' }, tier === 'pro' ? 'Pro' : 'Basic'));
    };
    rooms.addEventListener('changed', showRooms);
    sessions.addEventListener('changed', showAccount);
    showRooms();
    showAccount();
    return () => {
        rooms.removeEventListener('changed', showRooms);
        sessions.removeEventListener('changed', showAccount);
    };
}

function sections() {
    const all = allRooms();
    if (!all) return [h('p', { class: 'empty' }, 'Loading…')];
    if (!all.length) return [h('p', { class: 'empty' }, 'Your chats will be listed here.')];
    const groups = Map.groupBy(all, age);
    const more = hasMoreRooms() && h('button', { type: 'button', class: 'quiet', onclick: () => moreRooms().catch(noticeProblem) }, 'Older chats');
    return [...['Pinned', 'Today', 'Yesterday', 'This week', 'Earlier'].filter((name) => groups.has(name)).flatMap((name) => [
        h('h2', {}, name), h('ul', {}, groups.get(name).map(row)),
    ]), more].filter(Boolean);
}

function age({ pinned, updated_at }) {
    if (pinned) return 'Pinned';
    const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(updated_at).setHours(0, 0, 0, 0)) / 86_400_000);
    return days <= 0 ? 'Today' : days === 1 ? 'Yesterday' : days < 7 ? 'This week' : 'Earlier';
}

function row(room) {
    const href = `#/room/${room.id}`;
    return h('li', {},
        h('a', { href, title: said(room.updated_at), 'aria-current': location.hash.startsWith(href) && 'page' },
            h('span', {}, titleOf(room)), room.pinned && icon('pin')),
        iconButton('more', `Actions for ${titleOf(room)}`, ({ currentTarget }) => openRoomMenu(currentTarget, room), { 'aria-haspopup': 'menu', 'aria-expanded': 'false' }));
}
