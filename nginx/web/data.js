import { post, remove, request } from './api.js';
import { save } from './attachments.js';
import { openForm } from './dialogs.js';
import { $, h } from './dom.js';
import { codeField, field } from './forms.js';
import { noticeProblem } from './notices.js';
import { end, user } from './session.js';
import { section } from './settings.js';

export const sections = () => [
    section('Take it with you', h('p', {}, 'All that is kept of you, as a file with one JSON object a line.'),
        h('div', { class: 'actions' }, h('button', { type: 'button', class: 'quiet', onclick: exportAll }, 'Download'))),
    section('Delete the account', h('p', {}, 'Your chats, your files and your number are gone at once, for good.'),
        h('div', { class: 'actions' }, h('button', { type: 'button', class: 'quiet is-danger', onclick: confirmDeletion }, 'Delete my account'))),
];

async function exportAll({ currentTarget: button }) {
    button.disabled = true;
    try {
        const blob = await (await request('GET', '/user/export', { patience: 0 })).blob();
        // The last line says that it is whole.
        if (!(await blob.slice(-40).text()).includes('"end"')) throw Object.assign(new Error('The download broke off. Please try again.'), { status: 0 });
        save(blob, 'export.ndjson');
    } catch (problem) {
        noticeProblem(problem);
    }
    button.disabled = false;
}

/** It wants the password, or a code: that it is the owner who asks. */
function confirmDeletion() {
    const dialog = openForm('Delete the account?', {
        text: 'This can’t be undone. To go on, enter your password, or a code that is sent to your mobile.',
        fields: [
            field({ name: 'password', label: 'Password', type: 'password', autocomplete: 'current-password' }),
            codeField(),
        ],
        submit: 'Delete everything', danger: true,
        onsubmit: async ({ password, otp }) => {
            await remove('/user/me', otp ? { otp } : { password });
            end('Your account is deleted.');
        },
    });
    const sent = h('span', { role: 'status' });
    const ask = h('button', {
        type: 'button', class: 'quiet',
        onclick: async () => {
            try {
                const { otp } = await post('/auth/send-otp', { mobile: user().mobile });
                sent.textContent = otp ? `No SMS is sent here; the code is ${otp}.` : 'A code is on its way.';
            } catch (problem) {
                sent.textContent = problem.message;
            }
        },
    }, 'Send me a code');
    $('.field:nth-of-type(2)', dialog.element).append(h('div', {}, ask, ' ', sent));
}
