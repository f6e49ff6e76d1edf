// The rooms of who is signed in, as the sidebar lists them.

import { get, patch, post, remove, request } from './api.js';
import { json } from './http.js';
import { sessions } from './session.js';

/** Sends `changed`. */
export const rooms = new EventTarget();

let list = null, next = null, tag = null, asking = null;

/** Those that are known, the newest first; null before there was an answer. */
export const allRooms = () => list;
export const hasMoreRooms = () => next !== null;
export const findRoom = (id) => list?.find((room) => room.id === id);

sessions.addEventListener('ended', () => { list = next = tag = null; });

const changed = () => rooms.dispatchEvent(new Event('changed'));

/** Asks for what is new; nothing is sent but an ETag where nothing is. Without a connection the list stays as it is. */
export function refreshRooms() {
    asking ??= (async () => {
        try {
            const response = await request('GET', '/chatroom', { headers: tag ? { 'If-None-Match': tag } : {} });
            if (response.status === 304) return;
            const answer = await json(response);
            tag = response.headers.get('ETag');
            list = answer.chatrooms;
            next = answer.next_cursor;
            changed();
        } catch (problem) {
            if (problem.status === undefined) throw problem;
        } finally {
            asking = null;
        }
    })();
    return asking;
}

export async function moreRooms() {
    const answer = await get(`/chatroom?cursor=${encodeURIComponent(next)}`);
    list = [...list, ...answer.chatrooms.filter(({ id }) => !findRoom(id))];
    next = answer.next_cursor;
    changed();
}

/** What an answer said of a room, or the room itself, newly made. */
export function keepRoom(room) {
    tag = null;
    list = (list ?? []).filter(({ id }) => id !== room.id);
    if (!room.archived) list.unshift(room);
    list.sort((a, b) => b.updated_at.localeCompare(a.updated_at));
    changed();
    return room;
}

export const createRoom = async (room, key) => keepRoom(await post('/chatroom', room, { key }));
export const updateRoom = async (id, changes) => keepRoom(await patch(`/chatroom/${id}`, changes));

export async function trashRoom(id) {
    await remove(`/chatroom/${id}`);
    list = list?.filter((room) => room.id !== id) ?? null;
    changed();
}

export const restoreRoom = async (id) => keepRoom(await post(`/trash/${id}/restore`));
export const purgeRoom = (id) => remove(`/trash/${id}`);

export const titleOf = (room) => room?.title || 'New chat';
