/** An answer that is no success, or none at all. `message` is a sentence for people. */
export class Problem extends Error {
    /** @param body The members of RFC 9457, and what an endpoint adds to them. */
    constructor({ detail, ...body }, retryAfter = 0) {
        super(detail || 'Something went wrong.');
        /** Seconds for which asking again is of no use; 0 where nothing is known. */
        this.retryAfter = retryAfter;
        Object.assign(this, { status: 0, code: 'unknown', errors: [] }, body);
    }

    /** Whether the request may or may not have arrived, so that only asking again tells. */
    get isUncertain() { return this.status === 0 || this.code === 'unavailable'; }
}

/** That no answer came. */
export const unreachable = () => new Problem({ code: 'unreachable', detail: 'The server cannot be reached. Is there a connection?' });

/**
 * Sends a request and returns the response, a Problem where it is no success.
 * @param options body: an object (sent as JSON) or a Blob; token; key: Idempotency-Key; headers; signal;
 *     patience: milliseconds until it is given up, 0 for a stream.
 */
export async function send(method, path, { body, token, key, headers = {}, signal, patience = 30_000 } = {}) {
    const signals = [signal, patience && AbortSignal.timeout(patience)].filter(Boolean);
    const isJSON = body && !(body instanceof Blob);
    let response;
    try {
        response = await fetch(path, {
            method,
            cache: 'no-store', // answers hold what is private
            credentials: 'omit',
            signal: signals.length ? AbortSignal.any(signals) : undefined,
            body: isJSON ? JSON.stringify(body) : body,
            headers: {
                ...(isJSON && { 'Content-Type': 'application/json' }),
                ...(token && { Authorization: `Bearer ${token}` }),
                ...(key && { 'Idempotency-Key': key }),
                ...headers,
            },
        });
        if (response.ok || response.status === 304) return response;
    } catch (error) {
        if (signal?.aborted) throw error;
        throw unreachable();
    }
    const isProblem = response.headers.get('Content-Type')?.startsWith('application/problem+json');
    const problem = isProblem ? await response.json().catch(() => null) : null;
    // A proxy in between, or a captive portal, speaks of itself.
    if (!problem) throw new Problem({ status: response.status, code: 'unavailable', detail: `The server answered ${response.status}.` });
    throw new Problem(problem, Number(response.headers.get('Retry-After')) || 0);
}

/** The body of an answer; null where it has none. A connection that breaks off within it is as good as none. */
export async function json(response) {
    if (response.status === 204 || response.status === 304) return null;
    try {
        return await response.json();
    } catch {
        throw unreachable();
    }
}

/** A key for a request that must count once, however often it is sent. (`randomUUID` is there only under https.) */
export function newKey() {
    return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
