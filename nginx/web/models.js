// Which models a room may have. The API has no list of them; those of the other rooms are there beside the usual ones.

import { allRooms } from './rooms.js';

const usual = [['gemini-3.8-flash', 'Gemini 3.8 Flash'], ['gemini-3.5-flash-lite', 'Gemini 3.5 Flash-Lite']];

/** Choices for a field: the usual ones, those of the other rooms, and `current`. */
export function models(current) {
    const names = new Set([...usual.map(([name]) => name), ...(allRooms() ?? []).map(({ model }) => model), current]);
    return [...names].map((name) => [name, modelName(name)]);
}

/** `gemini-3.8-flash` as people say it. */
export const modelName = (name) => usual.find(([known]) => known === name)?.[1]
    ?? name.split('-').map((word) => word[0].toUpperCase() + word.slice(1)).join(' ');
