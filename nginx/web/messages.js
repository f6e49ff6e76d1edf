import { h, iconButton } from './dom.js';
import { MessageView } from './message.js';

/** The messages of a room, in their order, and the window onto them, which stays at the end while that is where one is. */
export class MessageList {
    views = [];
    #isAtEnd = true;

    /** @param on What can be done with a message, as MessageView has it, and earlier(): what is before these is wanted. */
    constructor(on) {
        this.on = on;
        this.element = h('ol', { class: 'messages', 'aria-label': 'Messages' });
        this.earlier = h('button', { type: 'button', class: 'quiet earlier', hidden: true, onclick: on.earlier }, 'Earlier messages');
        this.toEnd = iconButton('down', 'To the newest message', () => this.scrollToEnd(), { class: 'icon-button to-end', hidden: true });
        this.window = h('div', { class: 'scroller', onscroll: () => this.#scrolled() }, this.earlier, this.element);
        // It grows with a reply; its window shrinks under the keyboard of a phone.
        const size = new ResizeObserver(() => this.#isAtEnd && this.scrollToEnd());
        for (const element of [this.element, this.window]) size.observe(element);
    }

    /** Shows these and no others. */
    show(messages) {
        this.views = messages.map((message) => new MessageView(message, this.on));
        this.element.replaceChildren(...this.views.map(({ element }) => element));
        this.scrollToEnd();
    }

    /** Puts messages before all others; what is seen stays where it is. */
    prepend(messages) {
        const below = this.window.scrollHeight - this.window.scrollTop;
        const views = messages.map((message) => new MessageView(message, this.on));
        this.views.unshift(...views);
        this.element.prepend(...views.map(({ element }) => element));
        this.window.scrollTop = this.window.scrollHeight - below;
    }

    /** Puts messages after a view, or at the end; in the place of all that follow where `instead`. The first one's view. */
    insert(messages, after = this.views.at(-1), instead = false) {
        const at = after ? this.views.indexOf(after) + 1 : 0;
        const views = messages.map((message) => new MessageView(message, this.on));
        for (const { element } of this.views.splice(at, instead ? Infinity : 0, ...views)) element.remove();
        if (after) after.element.after(...views.map(({ element }) => element));
        else this.element.prepend(...views.map(({ element }) => element));
        this.scrollToEnd();
        return views[0];
    }

    remove(view) {
        this.views = this.views.filter((other) => other !== view);
        view.element.remove();
    }

    before(view) { return this.views[this.views.indexOf(view) - 1] ?? null; }

    find(id) { return this.views.find(({ message }) => message.id === id); }

    /** The first reply that is still to come, or to be finished. */
    get unfinished() { return this.views.find(({ isUnfinished }) => isUnfinished); }

    scrollToEnd() {
        this.window.scrollTop = this.window.scrollHeight;
        this.#isAtEnd = true;
        this.toEnd.hidden = true;
    }

    /** Brings a message into view and marks it for a moment; whether it is there. */
    pointOut(id) {
        const view = this.find(id);
        if (!view) return false;
        this.#isAtEnd = false;
        view.element.scrollIntoView({ block: 'center' });
        view.element.classList.add('is-found');
        view.element.focus();
        return true;
    }

    #scrolled() {
        const { scrollTop, scrollHeight, clientHeight } = this.window;
        this.#isAtEnd = scrollHeight - scrollTop - clientHeight < 60;
        this.toEnd.hidden = this.#isAtEnd;
        if (scrollTop < 100 && !this.earlier.hidden && !this.earlier.disabled) this.on.earlier();
    }
}
