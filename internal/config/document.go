package config

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// document is a TOML file: its values, and the lines of its keys by their
// positions: "policy.stripped", "peer[1].domain".
type document struct {
	values map[string]any
	lines  map[string]int
}

// parse returns the document, or what is no TOML in it, and where.
func parse(data []byte) (*document, *problem) {
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // a byte order mark
	x := indexer{doc: &document{values: map[string]any{}, lines: map[string]int{}}, data: data, line: 1, rows: map[string]int{}}
	err := x.all()
	if len(x.doc.lines) > maxKeys {
		return nil, &problem{line: 1, err: fmt.Errorf("the file has more than %d keys", maxKeys)}
	}
	if decoding := toml.Unmarshal(data, &x.doc.values); decoding != nil {
		err = decoding // it knows more than the syntax, and where
	}
	if err != nil {
		return nil, x.broken(err)
	}
	return x.doc, nil
}

// broken returns what is no TOML.
func (x *indexer) broken(err error) *problem {
	p := &problem{line: 1}
	if where, ok := errors.AsType[*toml.DecodeError](err); ok {
		p.line, _ = where.Position()
	}
	words := strings.TrimPrefix(err.Error(), "toml: ")
	line := bytes.Split(x.data, []byte("\n"))[p.line-1]
	if key, _, ok := bytes.Cut(line, []byte("=")); ok {
		p.where = withoutIndex(dotted(x.table, string(bytes.TrimSpace(key))))
		if strings.Contains(words, "start of value") || strings.Contains(words, "expected keyword") {
			words += " (strings need quotes, numbers and true or false none)"
		}
	}
	p.err = fmt.Errorf("not in the form of TOML: %s", words)
	return p
}

// line returns the line of a position, or that of the table it is in; 0 where
// neither is in the file.
func (d *document) line(position string) int {
	for position != "" {
		if n, ok := d.lines[position]; ok {
			return n
		}
		position = position[:max(strings.LastIndexAny(position, ".["), 0)]
	}
	return 0
}

var bare = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// dotted appends a key to a position, in quotes if it needs them.
func dotted(position, key string) string {
	if !bare.MatchString(key) {
		key = shown(key)
	}
	if position == "" {
		return key
	}
	return position + "." + key
}

// element appends an index to a position.
func element(position string, i int) string { return position + "[" + strconv.Itoa(i) + "]" }

// indexer finds the lines of all keys.
type indexer struct {
	doc  *document
	data []byte
	// table is the position of the table that was met last.
	table string
	// rows counts the tables of an array of tables that were met so far.
	rows map[string]int
	// line is that of the key at offset, which was met last.
	line, offset int
}

// maxKeys is how many keys and tables a file may have: the work of decoding
// grows with their square.
const maxKeys = 20_000

// maxParts is how many parts a dotted key may have. Ours have two.
const maxParts = 10

func (x *indexer) all() error {
	var p unstable.Parser
	p.Reset(x.data)
	for len(x.doc.lines) <= maxKeys && p.NextExpression() {
		switch e := p.Expression(); e.Kind {
		case unstable.Table:
			x.table = x.keys("", e.Key(), false)
		case unstable.ArrayTable:
			x.table = x.keys("", e.Key(), true)
		case unstable.KeyValue:
			x.keyValue(x.table, e)
		}
	}
	return p.Error()
}

// keys notes each part of a dotted key, and returns the position of the last. row:
// the key is the head of a table in an array of tables.
func (x *indexer) keys(position string, it unstable.Iterator, row bool) string {
	for parts := 0; it.Next() && parts < maxParts; parts++ {
		position = dotted(position, string(it.Node().Data))
		x.note(position, it.Node())
		n := x.rows[position]
		switch {
		case row && it.IsLast():
			x.rows[position] = n + 1
			position = element(position, n)
			x.note(position, it.Node())
		case n > 0:
			position = element(position, n-1)
		}
	}
	return position
}

// keyValue notes a key, and those of the tables in its value.
func (x *indexer) keyValue(table string, e *unstable.Node) {
	x.value(x.keys(table, e.Key(), false), e.Value())
}

func (x *indexer) value(position string, v *unstable.Node) {
	i := 0
	for it := v.Children(); it.Next(); i++ {
		switch child := it.Node(); {
		case v.Kind == unstable.InlineTable:
			x.keyValue(position, child)
		case v.Kind == unstable.Array:
			x.value(element(position, i), child)
		}
	}
}

// note keeps the first line of a position.
func (x *indexer) note(position string, n *unstable.Node) {
	offset := int(n.Raw.Offset)
	x.line += bytes.Count(x.data[x.offset:offset], []byte("\n"))
	x.offset = offset
	if _, ok := x.doc.lines[position]; !ok {
		x.doc.lines[position] = x.line
	}
}
