// Links that show a room to whoever has them.

import { post } from './api.js';
import { openDialog, openForm } from './dialogs.js';
import { $, h, said } from './dom.js';
import { field } from './forms.js';
import { newKey } from './http.js';
import { announce } from './notices.js';
import { titleOf } from './rooms.js';

const periods = [['7', 'A week'], ['30', 'A month'], ['365', 'A year']];

/** Asks for how long, makes a link, and shows it. */
export function shareRoom(room) {
    const key = newKey();
    const dialog = openForm('Share this chat', {
        text: `Whoever has the link can read “${titleOf(room)}” as it is now, without signing in. What is written later is not shown.`,
        fields: [field({ name: 'days', label: 'The link ends after', options: periods, value: '30' })],
        submit: 'Make a link',
        onsubmit: async ({ days }) => showLink(await post(`/chatroom/${room.id}/share`, days ? { expires_in_days: Number(days) } : {}, { key })),
    });
    return dialog;
}

function showLink({ url, expires_at }) {
    const input = h('input', { readonly: true, value: url, 'aria-label': 'The link', autofocus: true });
    const copy = h('button', { type: 'button', class: 'primary', onclick: () => copyLink(url, copy) }, 'Copy');
    openDialog('The link', h('p', { class: 'hint' }, expires_at ? `It ends on ${said(expires_at, { dateStyle: 'long' })}.` : 'It has no end.', ' You can revoke it in the settings, under Shared.'),
        h('div', { class: 'field' }, input), h('div', { class: 'actions' }, h('a', { class: 'button quiet', href: url, target: '_blank' }, 'Open'), copy));
    input.select();
}

/** Copies a link, and says so on the button that was pressed. */
export async function copyLink(url, button) {
    try {
        await navigator.clipboard.writeText(url);
        button.textContent = 'Copied';
        announce('Copied.');
    } catch {
        $('input[readonly]')?.select(); // the person can
        announce('The browser does not let this be copied; it is selected.');
    }
}
