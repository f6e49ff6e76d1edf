// Who is signed in: the pair of tokens and the user, kept in localStorage, so that a reload and other tabs have them too.
// A script that could read them there could as well use them from here; that none runs is what the page's policy is for.

import { Problem, json, send } from './http.js';

const place = 'session';
const read = () => JSON.parse(localStorage.getItem(place) ?? 'null');
let session = read();

/** Sends `began`, `ended` (detail: why, or null) and `changed`: the user. */
export const sessions = new EventTarget();
const tell = (name, detail) => sessions.dispatchEvent(new CustomEvent(name, { detail }));

export const user = () => session?.user ?? null;
export const refreshToken = () => session?.refresh_token;

/** Keeps what a sign-in or a refresh answered. */
function keep({ token, expires_in, refresh_token, user }) {
    session = { token, refresh_token, user, until: Date.now() + expires_in * 1000 };
    localStorage.setItem(place, JSON.stringify(session));
}

export function begin(answer) {
    keep(answer);
    tell('began');
}

export function end(reason = null) {
    if (!session) return;
    session = null;
    localStorage.removeItem(place);
    tell('ended', reason);
}

export function changeUser(user) {
    session = { ...session, user };
    localStorage.setItem(place, JSON.stringify(session));
    tell('changed');
}

/** An access token that is good for a while yet. */
export async function accessToken() {
    if (!session) throw new Problem({ status: 401, code: 'token_missing', detail: 'Please sign in.' });
    return session.until - Date.now() > 30_000 ? session.token : renew(session.token);
}

/** The token that comes after `old`. Tabs take turns; where they can't (no https), the server bears with two at once. */
export function renew(old) {
    const turn = async () => {
        session = read();
        if (session && session.token !== old) return session.token;
        if (!session) throw new Problem({ status: 401, code: 'token_missing', detail: 'You have signed out in another tab.' });
        try {
            keep(await json(await send('POST', '/auth/refresh', { body: { refresh_token: session.refresh_token } })));
        } catch (problem) {
            if (problem.status === 401) end(problem.message);
            throw problem;
        }
        return session.token;
    };
    return navigator.locks ? navigator.locks.request('refresh', turn) : turn();
}

// What another tab did
addEventListener('storage', ({ key }) => {
    if (key !== place && key !== null) return;
    const before = session;
    session = read();
    if (session && session.user.id !== before?.user.id) tell('began');
    else if (session) tell('changed');
    else if (before) tell('ended', null);
});
