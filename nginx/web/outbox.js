// What was written and has not certainly arrived, so that neither a reload nor a lost answer loses or doubles it.

import { newKey } from './http.js';

const place = 'outbox';
const all = () => JSON.parse(localStorage.getItem(place) ?? '[]');
const store = (letters) => localStorage.setItem(place, JSON.stringify(letters));

/** Takes in a message for a room, under the key that it is sent with however often. */
export function putLetter(room, content, attachments) {
    const letter = { key: newKey(), room, content, attachments };
    store([...all(), letter]);
    return letter;
}

export const lettersFor = (room) => all().filter((letter) => letter.room === room);
export const dropLetter = ({ key }) => store(all().filter((letter) => letter.key !== key));

/** What stands in the field of a room, or of a chat that is not there yet (null). */
export const draft = {
    get: (room) => localStorage.getItem(`draft:${room}`) ?? '',
    set: (room, text) => text ? localStorage.setItem(`draft:${room}`, text) : localStorage.removeItem(`draft:${room}`),
};
