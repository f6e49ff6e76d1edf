// A room, or one that is made by its first message: what was said there, and what is asked next.

import { get, patch, post, untilCertain } from './api.js';
import { h, iconButton } from './dom.js';
import { Composer } from './composer.js';
import { Following } from './following.js';
import { when } from './forms.js';
import { newKey } from './http.js';
import { MessageList } from './messages.js';
import { modelName } from './models.js';
import { announce, notice, noticeProblem, setLost } from './notices.js';
import { draft, dropLetter, lettersFor, putLetter } from './outbox.js';
import { openRoomMenu, openRoomSettings } from './roommenu.js';
import { createRoom, findRoom, refreshRooms, rooms, titleOf } from './rooms.js';
import { welcome } from './welcome.js';

/** Shows a room, or with null one that is to be made, within `main`, and in it the message `found`; what is returned ends it. */
export function showConversation(main, bar, id, found) {
    const conversation = new Conversation(main, bar, id);
    conversation.open(found);
    return () => conversation.close();
}

class Conversation {
    #ended = new AbortController();
    #next = null;
    /** When the room had its last news among those that are shown. */
    #seen = null;
    #sending = Promise.resolve();

    constructor(main, bar, id) {
        this.id = id;
        this.path = `/chatroom/${id}/message`;
        this.main = main;
        this.composer = new Composer(id, { send: (content, attachments) => this.#send(content, attachments), stop: () => this.#stop() });
        this.list = new MessageList({
            earlier: () => this.#loadEarlier().catch(noticeProblem),
            edit: (view, content, attachments) => this.#ask(view, (key) => patch(`${this.path}/${view.message.id}`, { content, attachments }, { key })),
            regenerate: (view) => this.#ask(view, (key) => post(`${this.path}/${view.message.id}/regenerate`, undefined, { key })),
            continue: (view) => this.#ask(view, (key) => post(`${this.path}/${view.message.id}/continue`, undefined, { key })),
            choose: (message) => this.#choose(message),
        });
        this.following = new Following(id, this.list, (isReplying) => this.#replying(isReplying));
        this.heading = h('h1', { tabindex: -1 }, 'New chat');
        this.model = h('button', { type: 'button', class: 'quiet model', hidden: true, onclick: () => openRoomSettings(this.room) });
        this.menu = iconButton('more', 'Actions for this chat', ({ currentTarget }) => openRoomMenu(currentTarget, this.room), { 'aria-haspopup': 'menu', 'aria-expanded': 'false', hidden: true });
        bar.append(this.heading, this.model, this.menu);
        main.append(bar, this.list.window, h('div', { class: 'dock' }, this.list.toEnd, this.composer.element));
        const { signal } = this.#ended;
        main.addEventListener('dragover', (event) => event.preventDefault(), { signal });
        main.addEventListener('drop', (event) => this.composer.attachments.takeFrom(event.dataTransfer, event), { signal });
        rooms.addEventListener('changed', () => this.#showRoom(), { signal });
        document.addEventListener('visibilitychange', () => document.hidden || this.#catchUp(), { signal });
    }

    close() {
        this.#ended.abort();
        this.following.stop();
        setLost(this, false);
    }

    async open(found) {
        document.title = 'New chat';
        // Where there is a keyboard, it writes at once; on a phone it would cover what there is to read.
        if (matchMedia('(pointer: coarse)').matches) this.heading.focus();
        else this.composer.focus();
        if (!this.id) {
            this.list.element.replaceWith(welcome((idea) => { this.composer.restore(idea); this.composer.focus(); }));
            return;
        }
        this.#showRoom();
        try {
            // What a lost answer or a reload has left behind comes first: whether it arrived is known then, and it is shown once.
            const letters = lettersFor(this.id).map((letter) => [letter, this.#showPending(letter)]);
            for (const [letter, view] of letters) await this.#deliver(letter, view);
            await this.#patiently(() => this.#load());
            while (found && !this.list.find(found) && this.#next) await this.#loadEarlier();
        } catch (problem) {
            if (this.#ended.signal.aborted) return;
            this.composer.element.hidden = true;
            this.list.element.replaceWith(h('p', { class: 'empty' }, problem.status === 404 ? 'This chat is not there any more.' : problem.message));
            return;
        }
        if (found && !this.list.pointOut(found)) notice('That message is not part of what this chat shows now.');
    }

    /** Does what may be repeated until it is certain, and says meanwhile that the connection is lost. */
    async #patiently(work) {
        try {
            return await untilCertain(work, { signal: this.#ended.signal, onwait: () => setLost(this, true) });
        } finally {
            setLost(this, false);
        }
    }

    async #load() {
        this.room = await get(`/chatroom/${this.id}`, { signal: this.#ended.signal });
        this.#seen = this.room.updated_at;
        this.list.show(this.room.messages.toReversed());
        this.#setNext(this.room.next_cursor);
        this.#showRoom();
        this.following.start();
    }

    #setNext(cursor) {
        this.#next = cursor;
        this.list.earlier.hidden = !cursor;
    }

    async #loadEarlier() {
        this.list.earlier.disabled = true;
        try {
            const { messages, next_cursor } = await get(`${this.path}?cursor=${encodeURIComponent(this.#next)}`);
            this.list.prepend(messages.toReversed());
            this.#setNext(next_cursor);
        } finally {
            this.list.earlier.disabled = false;
        }
    }

    #showRoom() {
        this.room = { ...this.room, ...findRoom(this.id) };
        if (!this.room.id) return;
        this.heading.textContent = document.title = titleOf(this.room);
        this.model.hidden = this.menu.hidden = false;
        this.model.textContent = modelName(this.room.model);
        this.model.ariaLabel = `Model: ${modelName(this.room.model)}. Change it`;
    }

    /** Shows what another tab or device has done meanwhile. */
    async #catchUp() {
        await refreshRooms();
        const news = findRoom(this.id)?.updated_at;
        if (news && news !== this.#seen && !this.following.isOn && !lettersFor(this.id).length) await this.#load().catch(noticeProblem);
    }

    #replying(isReplying) {
        this.composer.isReplying = isReplying;
        if (isReplying || this.#ended.signal.aborted) return;
        refreshRooms().then(() => { this.#seen = findRoom(this.id)?.updated_at ?? this.#seen; });
        if (!this.room.title) this.#awaitTitle(3_000);
    }

    /** A title is found once the reply is there, in a while: looks for it, ever more rarely, for a minute and a half. */
    #awaitTitle(pause) {
        setTimeout(async () => {
            if (this.#ended.signal.aborted || this.following.isOn || findRoom(this.id)?.title) return;
            await refreshRooms();
            if (!findRoom(this.id)?.title && pause < 40_000) this.#awaitTitle(2 * pause);
        }, pause);
    }

    #showPending({ content, attachments }) {
        return this.list.insert([{ role: 'user', content, attachments, status: 'sending' }]);
    }

    async #send(content, attachments) {
        if (!this.id) return this.#begin(content, attachments);
        const letter = putLetter(this.id, content, attachments);
        const view = this.#showPending(letter);
        this.#sending = this.#sending.then(() => this.#deliver(letter, view)); // in the order in which they were written
        const answer = await this.#sending;
        if (!answer) return;
        view.update(answer.message);
        this.list.insert([answer.reply], view);
        if (!this.following.isOn) this.following.start();
        refreshRooms();
    }

    /** Makes the room that the first message is for, and goes there; the message waits for it in the outbox. */
    async #begin(content, attachments) {
        const key = newKey();
        this.composer.element.inert = true;
        draft.set(null, content); // until there is a room
        this.list.window.replaceChildren(this.list.element);
        const view = this.#showPending({ content, attachments });
        try {
            const { id } = await this.#patiently(() => createRoom({}, key));
            putLetter(id, content, attachments);
            draft.set(null, '');
            location.hash = `#/room/${id}`;
        } catch (problem) {
            if (this.#ended.signal.aborted) return;
            this.list.remove(view);
            this.composer.element.inert = false;
            this.composer.restore(content, attachments);
            tellLimit(problem);
        }
    }

    /** Sends a letter until it has certainly arrived: the answer, or null where it is refused and given back. */
    async #deliver(letter, view) {
        const { key, content, attachments } = letter;
        try {
            const body = { content, ...(attachments.length && { attachments: attachments.map(({ id }) => id) }) };
            const answer = await this.#patiently(() => post(this.path, body, { key }));
            dropLetter(letter);
            return answer;
        } catch (problem) {
            if (this.#ended.signal.aborted) return null;
            dropLetter(letter);
            this.list.remove(view);
            this.composer.restore(content, attachments);
            tellLimit(problem);
            return null;
        }
    }

    /** Has a message take the place of a view and of all after it: another question with its reply, or another reply. */
    async #ask(view, work) {
        const key = newKey();
        try {
            const { message, reply } = await this.#patiently(() => work(key));
            this.list.insert(view.message.role === 'user' ? [message, reply] : [reply], this.list.before(view), true);
            this.following.start();
            refreshRooms();
        } catch (problem) {
            if (!this.#ended.signal.aborted) tellLimit(problem);
        }
    }

    async #choose(id) {
        try {
            await post(`${this.path}/${id}/choose`);
            await this.#load();
            this.list.find(id)?.element.scrollIntoView({ block: 'nearest' });
            announce('Another version is shown.');
        } catch (problem) {
            noticeProblem(problem);
        }
    }

    async #stop() {
        const view = this.list.unfinished;
        if (!view) return;
        try {
            view.update(await post(`${this.path}/${view.message.id}/cancel`));
            this.following.start(); // what is asked besides is read along
        } catch (problem) {
            noticeProblem(problem);
        }
    }
}

/** A limit of the plan is said together with the way out of it. */
function tellLimit(problem) {
    if (problem.status !== 429 && problem.status !== 402) return noticeProblem(problem);
    const wait = problem.retryAfter ? ` You can go on ${when(problem.retryAfter)}.` : '';
    notice(problem.message + wait, { label: 'Usage and plan', run: () => { location.hash = '#/settings/plan'; } });
}
