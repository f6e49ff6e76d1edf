// As much of Postman's sandbox as the scripts of the collection use; told() and the variables come from postman.py.
const fail = (message) => { throw new Error(message); };
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

// Chai's way to say what is expected: words in between mean nothing, `not` turns the next one round.
const expectation = (value, negated = false) => {
  const check = (holds, what) => { if (holds === negated) fail(`${JSON.stringify(value)} ${negated ? 'must not' : 'must'} ${what}`); };
  const type = (name) => check((Array.isArray(value) ? 'array' : value === null ? 'null' : typeof value) === name, `be a ${name}`);
  const words = {
    eql: (other) => check(same(value, other), `be ${JSON.stringify(other)}`),
    above: (other) => check(value > other, `be above ${other}`),
    match: (pattern) => check(pattern.test(value), `match ${pattern}`),
    include: (part) => check(value.includes(part), `include ${JSON.stringify(part)}`),
    oneOf: (list) => check(list.some((one) => same(value, one)), `be one of ${JSON.stringify(list)}`),
    lengthOf: (count) => check(value.length === count, `have ${count} entries`),
    property: (name) => check(name in value, `have ${name}`),
    a: type,
    an: type,
  };
  Object.defineProperty(words, 'not', { get: () => expectation(value, !negated) });
  for (const word of ['to', 'be', 'have']) Object.defineProperty(words, word, { get: () => words });
  return words;
};

const headers = JSON.parse(answer.headers);
const pm = {
  response: {
    code: answer.status,
    text: () => answer.text,
    json: () => JSON.parse(answer.text),
    headers: { get: (name) => headers[Object.keys(headers).find((key) => key.toLowerCase() === name.toLowerCase())] },
    to: { have: { status: (code) => { if (answer.status !== code) fail(`${answer.status} and not ${code}: ${answer.text}`); } } },
  },
  collectionVariables: { get: (name) => variables[name], set: (name, value) => { variables[name] = value; } },
  expect: expectation,
  test: (name, body) => {
    let reason = null;
    try { body(); } catch (error) { reason = String(error.message); }
    tests.push({ name, reason });
  },
};
