import { get, post, remove } from './api.js';
import { h, said } from './dom.js';
import { field, form } from './forms.js';
import { send } from './http.js';
import { notice, noticeProblem } from './notices.js';
import { end, refreshToken } from './session.js';
import { lateSection, section } from './settings.js';

export const sections = () => [
    section('Password', password()), lateSection('Where you are signed in', sessions), lateSection('What happened', () => events(null)),
];

function password() {
    return form({
        fields: [
            field({ name: 'current_password', label: 'Current password', type: 'password', autocomplete: 'current-password', hint: 'Empty where you have none yet: then sign in by a code first.' }),
            field({ name: 'new_password', label: 'New password', type: 'password', autocomplete: 'new-password', required: true, minlength: 8, maxlength: 128, hint: 'At least 8 characters.' }),
        ],
        submit: 'Change it',
        onsubmit: async ({ current_password, new_password }) => {
            await post('/auth/change-password', { current_password: current_password || undefined, new_password });
            for (const input of document.querySelectorAll('[type=password]')) input.value = '';
            notice('Changed. Your other devices are signed out.');
        },
    });
}

async function sessions(refresh) {
    const { sessions } = await get('/auth/sessions');
    const act = (label, run, rest = {}) => h('button', { type: 'button', class: 'quiet', onclick: () => run().catch(noticeProblem), ...rest }, label);
    return [
        h('ul', { class: 'rows' }, sessions.map(({ id, current, last_used_at, created_at, ip, user_agent }) => h('li', {},
            h('div', {}, h('h3', {}, device(user_agent), current && ' (this one)'), h('p', {}, [ip, `last used ${said(last_used_at ?? created_at)}`].filter(Boolean).join(' · '))),
            act('Sign out', async () => {
                if (current) return signOut();
                await remove(`/auth/sessions/${id}`);
                await refresh();
            }, { 'aria-label': `Sign out ${device(user_agent)}` })))),
        sessions.length > 1 && h('div', { class: 'actions' }, act('Sign out everywhere else', async () => { await remove('/auth/sessions'); await refresh(); })),
    ];
}

/** Ends this session, here and on the server, where the access token may have expired. */
export async function signOut() {
    try {
        await send('POST', '/auth/logout', { body: { refresh_token: refreshToken() } });
    } catch (problem) {
        if (problem.status !== 401) throw problem; // there is none any more
    }
    end();
}

/** A browser and a system out of what a browser says of itself. */
function device(agent) {
    if (!agent) return 'Unknown device';
    const find = (names) => names.find(([mark]) => agent.includes(mark))?.[1];
    const browser = find([['Edg/', 'Edge'], ['Firefox/', 'Firefox'], ['Chrome/', 'Chrome'], ['Safari/', 'Safari'], ['curl/', 'curl']]);
    const system = find([['Android', 'Android'], ['iPhone', 'iPhone'], ['iPad', 'iPad'], ['Windows', 'Windows'], ['Mac OS', 'Mac'], ['Linux', 'Linux']]);
    return [browser, system].filter(Boolean).join(' on ') || agent.slice(0, 60);
}

const kinds = {
    signed_in: 'Signed in', sign_in_failed: 'A sign-in failed', refresh_reused: 'A copied session was ended', signed_out: 'Signed out',
    session_revoked: 'A device was signed out', password_changed: 'Password changed', password_reset: 'Password reset', exported: 'Your data was exported',
};

async function events(cursor) {
    const { events: page, next_cursor } = await get(`/user/security-events?limit=10${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`);
    const more = next_cursor && h('button', {
        type: 'button', class: 'quiet', onclick: async () => more.replaceWith(...await events(next_cursor).catch((problem) => { noticeProblem(problem); return [more]; })),
    }, 'More');
    return [h('ul', { class: 'rows' }, page.map(({ kind, ip, user_agent, created_at }) => h('li', {},
        h('div', {}, h('h3', {}, kinds[kind] ?? kind.replaceAll('_', ' ')), h('p', {}, [said(created_at), ip, user_agent && device(user_agent)].filter(Boolean).join(' · ')))))), more].filter(Boolean);
}
