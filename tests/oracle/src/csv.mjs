// RFC 4180 records from a stream of text: quoted fields may hold commas, quotes (doubled) and line breaks.

export async function* records(chunks) {
  let fields = [];
  let field = '';
  let quoted = false; // inside quotes
  let closing = false; // a quote was seen inside quotes: the end, or half of a doubled one
  let started = false; // the record has some character
  const endField = () => {
    fields.push(field);
    field = '';
    closing = false;
  };
  for await (const chunk of chunks) {
    for (const char of chunk) {
      if (quoted && !closing) {
        if (char === '"') closing = true;
        else field += char;
        continue;
      }
      if (closing && char === '"') {
        field += '"';
        closing = false;
        continue;
      }
      if (closing) quoted = false;
      if (char === '\n') {
        if (started) {
          endField();
          yield fields;
          fields = [];
        }
        started = false;
        continue;
      }
      if (char === '\r') continue;
      started = true;
      if (char === ',') endField();
      else if (char === '"' && field === '' && !closing) quoted = true;
      else if (closing) throw new Error('text follows a closing quote');
      else field += char;
    }
  }
  if (quoted && !closing) throw new Error('the file ends inside quotes');
  if (started) {
    endField();
    yield fields;
  }
}

/** Objects keyed by the header's names. */
export async function* rows(chunks) {
  let header;
  for await (const fields of records(chunks)) {
    if (!header) {
      header = fields.map((name, i) => (i === 0 ? name.replace(/^\uFEFF/, '') : name));
      yield header;
      continue;
    }
    if (fields.length !== header.length) {
      throw new Error(`a record has ${fields.length} fields, the header ${header.length}: ${fields.slice(0, 2).join(',')}`);
    }
    yield Object.fromEntries(fields.map((value, i) => [header[i], value]));
  }
}
