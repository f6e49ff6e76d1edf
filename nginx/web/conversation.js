// A room's messages, and the reply that is being written.

import { get, isMissing, post, patch, untilCertain } from './api.js';
import { $, h, icon, iconButton } from './dom.js';
import { Composer } from './composer.js';
import { newKey } from './http.js';
import { MessageView } from './message.js';
import { modelName } from './models.js';
import { announce, notice, noticeProblem, setLost } from './notices.js';
import { dropLetter, lettersFor, putLetter } from './outbox.js';
import { openRoomMenu, openRoomSettings } from './roommenu.js';
import { createRoom, findRoom, keepRoom, refreshRooms, rooms, titleOf } from './rooms.js';
import { followReply } from './stream.js';

/** Shows a room, or with null one that is made by its first message, within `main`; what is returned ends it. */
export function showConversation(main, bar, id, found) {
    const conversation = new Conversation(main, bar, id);
    conversation.open(found);
    return () => conversation.close();
}

const isUnfinished = ({ status }) => status === 'queued' || status === 'running';

class Conversation {
    #views = [];
    #next = null;
    #ended = new AbortController();
    #following = false;
    #isAtEnd = true;

    constructor(main, bar, id) {
        this.id = id;
        this.main = main;
        this.path = `/chatroom/${id}/message`;
        this.composer = new Composer(id, { send: (content, attachments) => this.#send(content, attachments), stop: () => this.#stop() });
        this.heading = h('h1', { tabindex: -1 }, id ? titleOf(findRoom(id)) : 'New chat');
        this.model = h('button', { type: 'button', class: 'quiet model', hidden: true, onclick: () => openRoomSettings(findRoom(id) ?? this.room) });
        this.menu = iconButton('more', 'Actions for this chat', ({ currentTarget }) => openRoomMenu(currentTarget, id), { 'aria-haspopup': 'menu', 'aria-expanded': 'false', hidden: !id });
        bar.append(this.heading, this.model, this.menu);
        this.list = h('ol', { class: 'messages', 'aria-label': 'Messages' });
        this.earlier = h('button', { type: 'button', class: 'quiet earlier', hidden: true, onclick: () => this.#loadEarlier() }, 'Earlier messages');
        this.toEnd = iconButton('down', 'To the newest message', () => this.#scrollToEnd(), { class: 'icon-button to-end', hidden: true });
        this.scroller = h('div', { class: 'scroller', onscroll: () => this.#scrolled() }, this.earlier, this.list);
        main.append(bar, this.scroller, h('div', { class: 'dock' }, this.toEnd, this.composer.element));
        const signal = this.#ended.signal;
        main.addEventListener('dragover', (event) => event.preventDefault(), { signal });
        main.addEventListener('drop', (event) => this.composer.attachments.takeFrom(event.dataTransfer, event), { signal });
        rooms.addEventListener('changed', () => this.#showRoom(), { signal });
        document.addEventListener('visibilitychange', () => document.hidden || this.#catchUp(), { signal });
        new ResizeObserver(() => this.#isAtEnd && this.#scrollToEnd()).observe(this.list);
    }

    close() {
        this.#ended.abort();
        setLost(this, false);
    }

    async open(found) {
        document.title = this.id ? titleOf(findRoom(this.id)) : 'New chat';
        this.composer.focus();
        if (!this.id) return this.list.replaceWith(welcome((text) => { this.composer.restore(text); this.composer.focus(); }));
        try {
            await untilCertain(() => this.#load(), { signal: this.#ended.signal, onwait: () => setLost(this, true) });
            setLost(this, false);
            for (let pages = 0; found && !$(`#message-${found}`) && this.#next && pages < 50; pages++) await this.#loadEarlier();
        } catch (problem) {
            if (this.#ended.signal.aborted) return;
            this.composer.element.hidden = true;
            this.list.replaceWith(h('p', { class: 'empty' }, problem.status === 404 ? 'This chat is not there any more.' : problem.message));
            return;
        }
        if (found) this.#pointOut(found);
        for (const letter of lettersFor(this.id)) this.#deliver(letter);
        this.#follow();
    }

    async #load() {
        const room = await get(`/chatroom/${this.id}`, { signal: this.#ended.signal });
        this.room = room;
        this.#views = room.messages.toReversed().map((message) => this.#view(message));
        this.#next = room.next_cursor;
        this.#seen = room.updated_at;
        this.list.replaceChildren(...this.#views.map(({ element }) => element));
        this.earlier.hidden = !this.#next;
        this.#showRoom();
        this.#scrollToEnd();
    }
    #seen = null;

    #showRoom() {
        this.room = findRoom(this.id) ?? this.room;
        if (!this.room) return;
        this.heading.textContent = titleOf(this.room);
        document.title = titleOf(this.room);
        this.model.hidden = false;
        this.model.textContent = modelName(this.room.model);
        this.model.ariaLabel = `Model: ${modelName(this.room.model)}. Change it`;
    }

    async #loadEarlier() {
        if (!this.#next) return;
        this.earlier.disabled = true;
        try {
            const { messages, next_cursor } = await get(`${this.path}?cursor=${encodeURIComponent(this.#next)}`);
            const views = messages.toReversed().map((message) => this.#view(message));
            const below = this.scroller.scrollHeight - this.scroller.scrollTop;
            this.#views.unshift(...views);
            this.list.prepend(...views.map(({ element }) => element));
            this.#next = next_cursor;
            this.earlier.hidden = !next_cursor;
            this.scroller.scrollTop = this.scroller.scrollHeight - below;
        } catch (problem) {
            noticeProblem(problem);
        }
        this.earlier.disabled = false;
    }

    /** What another tab or device has done meanwhile. */
    async #catchUp() {
        await refreshRooms();
        const room = findRoom(this.id);
        if (!room || room.updated_at === this.#seen || this.#following || lettersFor(this.id).length) return;
        await this.#reload();
    }

    async #reload() {
        try {
            await this.#load();
            this.#follow();
        } catch (problem) {
            if (!this.#ended.signal.aborted && problem.status) noticeProblem(problem);
        }
    }

    #view(message) {
        return new MessageView(message, {
            edit: (view, content) => this.#edit(view, content),
            regenerate: (view) => this.#regenerate(view),
            choose: (id) => this.#choose(id),
        });
    }

    /** Puts messages in the place of all from `from` on, or at the end. */
    #put(messages, from = this.#views.length) {
        for (const view of this.#views.splice(from)) view.element.remove();
        const views = messages.map((message) => this.#view(message));
        this.#views.push(...views);
        this.list.append(...views.map(({ element }) => element));
        this.#scrollToEnd();
        return views;
    }

    async #send(content, attachments) {
        if (!this.id) return this.#begin(content, attachments);
        await this.#deliver(putLetter(this.id, content, attachments));
    }

    /** Makes the room that the first message is for, and goes there; the message waits for it in the outbox. */
    async #begin(content, attachments) {
        const key = newKey();
        this.composer.element.inert = true;
        $('.welcome', this.main).replaceWith(this.list);
        this.#put([{ role: 'user', content, attachments, status: 'sending' }]);
        try {
            const room = await untilCertain(() => createRoom({}, key), { signal: this.#ended.signal, onwait: () => setLost(this, true) });
            putLetter(room.id, content, attachments);
            location.hash = `#/room/${room.id}`;
        } catch (problem) {
            if (this.#ended.signal.aborted) return;
            noticeProblem(problem);
            this.composer.element.inert = false;
            this.composer.restore(content);
        }
        setLost(this, false);
    }

    async #deliver(letter) {
        const { key, content, attachments } = letter;
        const [view] = this.#put([{ role: 'user', content, attachments, status: 'sending' }]);
        try {
            const body = { content, ...(attachments?.length && { attachments: attachments.map(({ id }) => id) }) };
            const answer = await untilCertain(() => post(this.path, body, { key }), { signal: this.#ended.signal, onwait: () => setLost(this, true) });
            dropLetter(letter);
            view.update(answer.message);
            this.#put([answer.reply], this.#views.indexOf(view) + 1);
            this.#follow();
            refreshRooms();
        } catch (problem) {
            if (this.#ended.signal.aborted) return;
            dropLetter(letter);
            view.element.remove();
            this.#views = this.#views.filter((other) => other !== view);
            this.composer.restore(content);
            tellLimit(problem);
        }
        setLost(this, false);
    }

    async #edit(view, content) {
        await this.#ask(this.#views.indexOf(view), (key) => patch(`${this.path}/${view.message.id}`, { content }, { key }), (answer) => [answer.message, answer.reply]);
    }

    async #regenerate(view) {
        await this.#ask(this.#views.indexOf(view), (key) => post(`${this.path}/${view.message.id}/regenerate`, undefined, { key }), (answer) => [answer.reply]);
    }

    async #ask(from, work, messages) {
        const key = newKey();
        try {
            const answer = await untilCertain(() => work(key), { signal: this.#ended.signal, onwait: () => setLost(this, true) });
            this.#put(messages(answer), from);
            this.#follow();
            refreshRooms();
        } catch (problem) {
            if (!this.#ended.signal.aborted) tellLimit(problem);
        }
        setLost(this, false);
    }

    async #choose(id) {
        try {
            await post(`${this.path}/${id}/choose`);
            await this.#load();
            $(`#message-${id}`)?.scrollIntoView({ block: 'nearest' });
            announce('Another version is shown.');
            this.#follow();
        } catch (problem) {
            noticeProblem(problem);
        }
    }

    async #stop() {
        const view = this.#views.find(({ message }) => isUnfinished(message));
        if (!view) return;
        try {
            view.update(await post(`${this.path}/${view.message.id}/cancel`));
        } catch (problem) {
            noticeProblem(problem);
        }
    }

    /** Reads along what is being written, one reply after the other, as they are made. */
    async #follow() {
        if (this.#following) return;
        this.#following = true;
        const signal = this.#ended.signal;
        try {
            for (let view; view = this.#views.find(({ message }) => isUnfinished(message));) {
                this.composer.isReplying = true;
                announce('The reply is being written.');
                const message = await followReply(this.id, view.message.id, {
                    ontext: (text) => this.#grow(view, text),
                    onlost: () => setLost(this, true), onback: () => setLost(this, false),
                }, signal);
                setLost(this, false);
                view.update(message);
                if (message.status === 'done') announce(spoken(message.content));
                else if (message.status === 'failed') announce(message.error.detail);
            }
        } catch (problem) {
            if (signal.aborted) return;
            noticeProblem(problem);
        } finally {
            this.#following = false;
            this.composer.isReplying = false;
        }
        await refreshRooms();
        this.#seen = findRoom(this.id)?.updated_at ?? this.#seen;
        // A title is found once the reply is there, in a while.
        if (!this.room?.title) setTimeout(() => signal.aborted || refreshRooms(), 3_000);
    }

    /** Shows the text that there is, at most once a frame, and less often the longer it takes. */
    #grow(view, text) {
        view.wanted = text;
        if (view.isDrawing) return;
        view.isDrawing = true;
        setTimeout(() => requestAnimationFrame(async () => {
            view.isDrawing = false;
            if (!isUnfinished(view.message)) return;
            const began = performance.now();
            view.message.status = 'running';
            view.foot.replaceChildren();
            await view.showText(view.wanted);
            view.pause = (performance.now() - began) * 3;
        }), view.pause ?? 0);
    }

    #scrolled() {
        const { scrollTop, scrollHeight, clientHeight } = this.scroller;
        this.#isAtEnd = scrollHeight - scrollTop - clientHeight < 60;
        this.toEnd.hidden = this.#isAtEnd;
        if (scrollTop < 100 && this.#next && !this.earlier.disabled && this.#views.length) this.#loadEarlier();
    }

    #scrollToEnd() {
        this.scroller.scrollTop = this.scroller.scrollHeight;
        this.#isAtEnd = true;
        this.toEnd.hidden = true;
    }

    #pointOut(id) {
        const element = $(`#message-${id}`);
        if (!element) return notice('That message is not part of what this chat shows now.');
        this.#isAtEnd = false;
        element.scrollIntoView({ block: 'center' });
        element.classList.add('is-found');
        element.focus();
    }
}

/** What a screen reader says of a reply: all of a short one, else how it begins. */
function spoken(text) {
    const words = text.replace(/[`*_#>|]/g, '').split(/\s+/);
    return `The reply: ${words.slice(0, 60).join(' ')}${words.length > 60 ? `… and ${words.length - 60} words more.` : ''}`;
}

/** A limit of the plan is said together with the way out of it. */
function tellLimit(problem) {
    if (problem.status !== 429 && problem.status !== 402) return noticeProblem(problem);
    notice(problem.message, { label: 'Usage and plan', run: () => { location.hash = '#/settings/plan'; } });
}

function welcome(propose) {
    const idea = (text) => h('button', { type: 'button', class: 'idea', onclick: () => propose(text) }, text);
    return h('div', { class: 'welcome' }, h('h2', {}, 'What is on your mind?'), h('p', {}, 'Ask anything. The chat gets its title by itself.'), h('div', { class: 'ideas' },
        idea('Explain how a hash table works, with a small example'), idea('Draft a polite reminder about an unpaid invoice'), idea('Plan three days in Lisbon on foot')));
}
