// Reads a reply along while it is written. EventSource can't send the access token, so this is what it does, by hand.

import { request, restored } from './api.js';
import { Problem, unreachable } from './http.js';

const longestSilence = 40_000; // the server says something every 15 s

/**
 * Follows a reply to its end, through any number of lost connections, and returns the whole message.
 * @param reader ontext(text): all that has come of it so far; onlost(): the connection is gone; onback(): it is there again.
 */
export async function followReply(room, reply, { ontext, onlost, onback }, signal) {
    let text = '', last = null, pause = 500, isLost = false;
    for (;;) {
        const watch = new Watch(signal);
        try {
            const response = await request('GET', `/chatroom/${room}/message/${reply}/stream`, {
                signal: watch.signal, patience: 0, headers: last === null ? {} : { 'Last-Event-ID': last },
            });
            for await (const { id, event, data } of events(response.body, watch)) {
                if (isLost) onback();
                isLost = false;
                pause = 500;
                last = id ?? last;
                if (event === 'reset') ontext(text = '');
                else if (event === 'delta') ontext(text += JSON.parse(data).text);
                else if (event !== 'message') return JSON.parse(data);
            }
        } catch (problem) {
            signal.throwIfAborted();
            const isSilent = problem.name === 'AbortError'; // the watch has ended it
            if (!isSilent && !(problem instanceof Problem)) throw problem;
            if (!isSilent && !problem.isUncertain && problem.status !== 429) throw problem;
            pause = Math.max(pause, (problem.retryAfter ?? 0) * 1000);
        } finally {
            watch.end();
        }
        if (!isLost) onlost();
        isLost = true;
        await restored(pause, signal);
        pause = Math.min(pause * 2, 15_000);
    }
}

/** Ends a request whose connection has gone silent: asleep with the machine, or lost without a word. */
class Watch {
    #ending = new AbortController();
    #heard = Date.now();
    #timer = setInterval(() => this.#look(), 5_000);
    #look = () => Date.now() - this.#heard > longestSilence && this.end();

    constructor(signal) {
        this.signal = AbortSignal.any([signal, this.#ending.signal]);
        addEventListener('offline', () => this.end(), { signal: this.#ending.signal });
        document.addEventListener('visibilitychange', this.#look, { signal: this.#ending.signal });
    }

    hear() { this.#heard = Date.now(); }

    end() {
        clearInterval(this.#timer);
        this.#ending.abort();
    }
}

/** The events of a body of server-sent events (the HTML standard, 9.2). What is cut off in its middle is none. */
async function* events(body, watch) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    for (;;) {
        const { value, done } = await reader.read().catch(() => { throw unreachable(); });
        if (done) return;
        watch.hear();
        const blocks = (rest + value).split('\n\n');
        rest = blocks.pop();
        for (const block of blocks) {
            const fields = { event: 'message', id: null, data: [] };
            for (const line of block.split('\n')) {
                const [, name, text] = /^([^:]*):? ?(.*)$/s.exec(line);
                if (name === 'data') fields.data.push(text);
                else if (name in fields) fields[name] = text;
            }
            if (fields.data.length) yield { ...fields, data: fields.data.join('\n') };
        }
    }
}
