// The chat: the sidebar with the rooms, and beside it what the address asks for.

import { $, h, iconButton } from './dom.js';
import { showConversation } from './conversation.js';
import { lostLine, setLost } from './notices.js';
import { refreshRooms } from './rooms.js';
import { showRoomList } from './roomlists.js';
import { showSidebar } from './sidebar.js';

const narrow = matchMedia('(max-width: 47.99rem)');

/** Shows it within `root`; what is returned ends it. */
export function showChat(root) {
    const main = h('main', { id: 'main', tabindex: -1 });
    const aside = h('aside', { id: 'sidebar', 'aria-label': 'Chats' });
    const veil = h('div', { class: 'veil', onclick: () => closeDrawer() });
    root.replaceChildren(h('div', { class: 'chat' }, aside, veil, h('div', { class: 'stage' }, lostLine(), main)));
    const endSidebar = showSidebar(aside);
    let endView = () => {};
    const off = new AbortController();

    // On a phone the sidebar is a drawer over the rest.
    function setDrawer(isOpen) {
        root.firstChild.classList.toggle('is-open', isOpen);
        aside.inert = narrow.matches && !isOpen;
        $('.stage', root).inert = narrow.matches && isOpen;
        $('.drawer-button', main)?.setAttribute('aria-expanded', isOpen);
        if (narrow.matches && isOpen) $('a, button', aside).focus();
    }

    function closeDrawer() {
        if (!root.firstChild.classList.contains('is-open')) return;
        setDrawer(false);
        $('.drawer-button', main).focus();
    }

    const drawerButton = () => iconButton('menu', 'Chats', () => setDrawer(true),
        { class: 'icon-button drawer-button', 'aria-expanded': 'false', 'aria-controls': 'sidebar' });

    function showView() {
        endView();
        const [, name, ...rest] = location.hash.split('/');
        main.className = name || 'new';
        main.replaceChildren();
        const bar = h('header', { class: 'bar' }, drawerButton());
        if (name === 'archive' || name === 'trash') endView = showRoomList(main, bar, name);
        else if (name === 'settings') endView = lateView(import('./settings.js').then(({ showSettings }) => showSettings(main, bar, rest[0])));
        else endView = showConversation(main, bar, rest[0] ?? null, rest[1] ?? null);
        setDrawer(false);
        for (const link of aside.querySelectorAll('a[href]')) {
            if (link.hash === location.hash.split('/').slice(0, 3).join('/')) link.ariaCurrent = 'page';
            else link.ariaCurrent = null;
        }
    }

    /** The end of a view whose module is still on its way. */
    const lateView = (view) => () => view.then((end) => end());

    addEventListener('hashchange', showView, { signal: off.signal });
    narrow.addEventListener('change', () => setDrawer(false), { signal: off.signal });
    addEventListener('keydown', (event) => event.key === 'Escape' && closeDrawer(), { signal: off.signal });
    addEventListener('online', () => setLost('browser', false), { signal: off.signal });
    addEventListener('offline', () => setLost('browser', true), { signal: off.signal });
    // Nothing is asked for while nobody looks; who comes back sees what is new.
    document.addEventListener('visibilitychange', () => document.hidden || refreshRooms(), { signal: off.signal });
    showView();
    refreshRooms();
    return () => {
        off.abort();
        endView();
        endSidebar();
        setLost('browser', false);
    };
}
