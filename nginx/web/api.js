// Requests of who is signed in.

import { json, send } from './http.js';
import { accessToken, end, renew } from './session.js';

/** As `send`, with the access token, which is renewed where it is over. */
export async function request(method, path, options = {}) {
    const token = await accessToken();
    try {
        return await send(method, path, { ...options, token });
    } catch (problem) {
        if (problem.code === 'session_ended') end(problem.message);
        if (problem.code !== 'token_expired' && problem.code !== 'token_invalid') throw problem;
        return send(method, path, { ...options, token: await renew(token) });
    }
}

export const get = async (path, options) => json(await request('GET', path, options));
export const post = async (path, body, options) => json(await request('POST', path, { ...options, body }));
export const patch = async (path, body, options) => json(await request('PATCH', path, { ...options, body }));
export const remove = async (path, body) => json(await request('DELETE', path, { body }));

/** Whether this installation has no such endpoint, or has it switched off. */
export const isMissing = (problem) => [404, 405].includes(problem.status) || problem.code?.endsWith('_off');

/** Tries `work` until it is certain whether it was done, with longer and longer pauses; `work` must bear being repeated. */
export async function untilCertain(work, { signal, onwait = () => {} } = {}) {
    for (let pause = 500; ; pause = Math.min(pause * 2, 15_000)) {
        try {
            return await work();
        } catch (problem) {
            const isRunning = problem.code === 'idempotency_running';
            if (!problem.isUncertain && !isRunning) throw problem;
            onwait(problem);
            await restored(Math.max(pause, problem.retryAfter * 1000), signal);
        }
    }
}

/** Waits so long, or until the network or the reader is back. */
export function restored(milliseconds, signal) {
    return new Promise((resolve, reject) => {
        const off = new AbortController();
        const done = () => { clearTimeout(timer); off.abort(); resolve(); };
        const timer = setTimeout(done, milliseconds * (0.75 + Math.random() / 2));
        addEventListener('online', done, { signal: off.signal });
        addEventListener('try-now', done, { signal: off.signal });
        document.addEventListener('visibilitychange', () => document.hidden || done(), { signal: off.signal });
        signal?.addEventListener('abort', () => { clearTimeout(timer); off.abort(); reject(signal.reason); }, { signal: off.signal });
    });
}
