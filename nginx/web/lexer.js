// What a Markdown text is made of, by marked's lexer, within bounds: a reply is a stranger's text, and marked takes quadratic time, or
// all of the stack, for some. What goes beyond the bounds comes as a token of the type `rest`, to be shown as the text it is.

/** Quotes and lists within each other, and likewise emphasis and links. */
const deepest = 16;
/** Lines, and so blocks: each block costs the regular expressions of all kinds of block. */
const mostLines = 10_000;
/** Definitions of links: each part of the text is held against all of them. */
const mostLinks = 100;
/** Cells of a table: a row has as many as the header, said or not. */
const mostCells = 5_000;
/** Bars in a line beyond which no table is looked for. */
const mostBars = 200;
/** Work on the inline parts of a block, and of the whole text; see `work`. */
const [workOfBlock, workOfText] = [4_000_000, 60_000_000];

/** What may begin or end something within a line, and has marked look through what follows it. */
const marks = /[*_~`[\]()<>!\\&]|https?:|ftp:|www\.|@/g;

/** What marked does at most with so many marks: each is held against the others, and against the text. */
const work = (marks, length) => marks * (length + 30 * marks);

/** A lexer made of the module `marked`: a function from a text to its tokens, which has `links`, as marked's own. */
export function boundedLexer(marked) {
    const { block } = marked.Lexer.rules;

    class Tokenizer extends marked.Tokenizer {
        def(src) {
            return Object.keys(this.lexer.tokens.links).length < mostLinks ? super.def(src) : undefined;
        }

        table(src) {
            const [, header, , rows = ''] = this.rules.block.table.exec(src) ?? [''];
            if (!header || columns(header) * (1 + rows.split('\n').length) > mostCells) return undefined; // a paragraph, then
            return super.table(src);
        }
    }

    class Lexer extends marked.Lexer {
        #depth = 0;
        #inlineDepth = 0;
        #work = 0;

        blockTokens(src, tokens = []) {
            if (this.#depth >= deepest) return rest(src, tokens);
            this.#depth++;
            super.blockTokens(src, tokens);
            this.#depth--;
            return tokens;
        }

        inlineTokens(src, tokens = []) {
            const end = this.#inlineDepth < deepest ? this.#affordable(src) : 0;
            this.#inlineDepth++;
            super.inlineTokens(src.slice(0, end), tokens);
            this.#inlineDepth--;
            return end < src.length ? rest(src.slice(end), tokens) : tokens;
        }

        /** How much from the start of a text there is work left for. */
        #affordable(src) {
            const most = Math.min(workOfBlock, workOfText - this.#work);
            let count = 0;
            for (const { index } of src.matchAll(marks)) {
                if (work(count + 1, index) > most) return this.#spend(count, index);
                count++;
            }
            return this.#spend(count, src.length);
        }

        #spend(count, length) {
            this.#work += work(count, length);
            return length;
        }
    }

    return (text) => {
        const tokenizer = new Tokenizer();
        const lexer = new Lexer({ ...marked.getDefaults(), mangle: false, tokenizer });
        // A line of bars alone is gone through for each of them, in search of a table.
        if (new RegExp(`(?:\\|[^|\n]*){${mostBars}}`).test(text)) tokenizer.rules.block = block.normal;
        const end = endOfLine(text, mostLines);
        const tokens = lexer.lex(text.slice(0, end));
        return end < text.length ? rest(text.slice(end), tokens) : tokens;
    };
}

/** Where so many lines end. */
function endOfLine(text, count) {
    let end = 0;
    for (; count > 0; count--) {
        end = text.indexOf('\n', end) + 1;
        if (!end) return text.length;
    }
    return end;
}

const columns = (header) => header.split('|').length;

function rest(text, tokens) {
    tokens.push({ type: 'rest', raw: text, text });
    return tokens;
}
