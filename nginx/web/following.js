// The replies of a room that are being written, read along one after the other, as they are made.

import { announce, noticeProblem, setLost } from './notices.js';
import { followReply } from './stream.js';

export class Following {
    #stop = null;

    /** @param onchange(isReplying) is told when it begins and when all replies are there. */
    constructor(room, list, onchange) {
        this.room = room;
        this.list = list;
        this.onchange = onchange;
    }

    get isOn() { return this.#stop !== null; }

    /** Begins, or begins anew: the messages are others now. */
    async start() {
        this.stop();
        if (!this.list.unfinished) return this.onchange(false);
        const { signal } = this.#stop = new AbortController();
        this.onchange(true);
        try {
            for (let view; view = this.list.unfinished;) await this.#follow(view, signal);
        } catch (problem) {
            if (signal.aborted) return;
            noticeProblem(problem);
        }
        this.stop();
        this.onchange(false);
    }

    stop() {
        this.#stop?.abort();
        this.#stop = null;
        setLost(this, false);
    }

    async #follow(view, signal) {
        announce('The reply is being written.');
        const message = await followReply(this.room, view.message.id, {
            ontext: (text) => grow(view, text), onlost: () => setLost(this, true), onback: () => setLost(this, false),
        }, signal);
        setLost(this, false);
        await view.update(message);
        if (message.status === 'done') announce(spoken(view.body.innerText));
        else announce(message.status === 'failed' ? message.error.detail : 'The reply is stopped.');
    }
}

/** Shows the text that there is, at most once a frame, and less often the longer it takes. */
function grow(view, text) {
    view.wanted = text;
    if (view.isDrawing) return;
    view.isDrawing = true;
    setTimeout(() => requestAnimationFrame(async () => {
        if (view.isUnfinished) {
            const began = performance.now();
            await view.grow(view.wanted);
            view.pause = (performance.now() - began) * 3;
        }
        view.isDrawing = false;
        if (view.isUnfinished && view.wanted !== view.shown) grow(view, view.wanted);
    }), view.pause ?? 0);
}

/** What a screen reader says of a reply: all of a short one, else how it begins. */
function spoken(text) {
    const words = text.split(/\s+/);
    return `The reply: ${words.slice(0, 60).join(' ')}${words.length > 60 ? `… and ${words.length - 60} words more.` : ''}`;
}
