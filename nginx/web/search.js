import { get, isMissing } from './api.js';
import { h, icon, said } from './dom.js';
import { announce } from './notices.js';
import { allRooms, titleOf } from './rooms.js';

/** The field over the rooms. It shows what it finds in `results`, and tells `onsearch` whether it is in use. */
export function searchField(results, onsearch) {
    let asked = new AbortController(), timer;
    const input = h('input', { type: 'search', placeholder: 'Search', 'aria-label': 'Search in chats', autocomplete: 'off', maxlength: 200, oninput: search });
    input.addEventListener('keydown', (event) => {
        if (event.key !== 'Escape') return;
        input.value = '';
        search();
    });

    function search() {
        clearTimeout(timer);
        asked.abort();
        asked = new AbortController();
        const words = input.value.trim();
        onsearch(words !== '');
        if (words) timer = setTimeout(() => find(words, asked.signal).catch((error) => asked.signal.aborted || show([h('p', { class: 'empty' }, error.message)])), 250);
    }

    const show = (content) => results.replaceChildren(...content);

    async function find(words, signal) {
        let found, next = null;
        try {
            const answer = await get(`/search?q=${encodeURIComponent(words)}&limit=30`, { signal });
            [found, next] = [answer.results, answer.next_cursor];
        } catch (problem) {
            if (!isMissing(problem)) throw problem;
            found = (allRooms() ?? []).filter((room) => titleOf(room).toLowerCase().includes(words.toLowerCase()))
                .map((room) => ({ chatroom_id: room.id, title: room.title, created_at: room.updated_at }));
        }
        signal.throwIfAborted();
        if (!found.length) show([h('p', { class: 'empty' }, `Nothing has “${words}” in it.`)]);
        else show([h('ul', {}, found.map(hit)), next && h('p', { class: 'empty' }, 'There is more: say it more exactly.')].filter(Boolean));
        announce(found.length === 1 ? 'One is found.' : `${found.length} are found.`);
    }

    return h('div', { class: 'search', role: 'search' }, icon('search'), input);
}

const hit = ({ chatroom_id, message_id, title, snippet, created_at }) => h('li', {},
    h('a', { href: `#/room/${chatroom_id}${message_id ? `/${message_id}` : ''}` },
        h('span', { class: 'hit-title' }, titleOf({ title })), snippet && h('span', { class: 'snippet' }, marked(snippet)),
        h('time', { datetime: created_at }, said(created_at, { dateStyle: 'medium' }))));

const entities = { '&amp;': '&', '&lt;': '<', '&gt;': '>', '&quot;': '"', '&#39;': "'", '&#x27;': "'" };

/** A text that is escaped for HTML but for `<mark>`. */
const marked = (html) => html.split(/(<mark>.*?<\/mark>)/s).map((part) => {
    const text = part.replace(/<\/?mark>/g, '').replace(/&(?:amp|lt|gt|quot|#39|#x27);/g, (entity) => entities[entity]);
    return part.startsWith('<mark>') ? h('mark', {}, text) : text;
});
