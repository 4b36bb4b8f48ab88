// Server-sent events out of the body of a fetch.

/** Yields the data of each event. Events end with an empty line, lines with \n, \r\n or \r. */
export async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  let data = [];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    buffer += value;
    // A \r at the end may be half of a line break.
    for (let match; (match = /\r\n|\n|\r(?!$)/.exec(buffer)); ) {
      const line = buffer.slice(0, match.index);
      buffer = buffer.slice(match.index + match[0].length);
      if (line.startsWith("data:")) {
        data.push(line.slice(line[5] === " " ? 6 : 5));
      } else if (line === "" && data.length > 0) {
        yield data.join("\n");
        data = [];
      }
    }
  }
}
