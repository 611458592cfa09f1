package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// setting is one key: of the file as a whole, or of a row.
type setting[T any] struct {
	// key is the key with its table, as in "policy.stripped".
	key string
	// set takes a value as TOML has it, and leaves the old one if it is wrong.
	set func(*T, any) error
	// text makes of a variable's text what TOML would have.
	text func(string) any
	// show returns the value as TOML.
	show func(*T) string
}

// variable is the environment variable that overrides the key.
func (s *setting[T]) variable() string {
	return "TLSRATCHET_" + strings.ToUpper(strings.ReplaceAll(s.key, ".", "_"))
}

// word is a key whose value is a string of some form.
func word[T, V any](key string, field func(*T) *V, parse func(string) (V, error), show func(V) string) setting[T] {
	return setting[T]{
		key: key,
		set: func(t *T, raw any) error {
			s, ok := raw.(string)
			if !ok {
				return fmt.Errorf("want a string in quotes, got %s", shown(raw))
			}
			v, err := parse(s)
			if err == nil {
				*field(t) = v
			}
			return err
		},
		text: func(s string) any { return s },
		show: func(t *T) string { return quote(show(*field(t))) },
	}
}

// list is a key whose value is a list of strings of some form, none of them
// twice and at least so many. In a variable they are separated by commas.
func list[T any, V comparable](key string, least int, field func(*T) *[]V, parse func(string) (V, error), show func(V) string) setting[T] {
	return setting[T]{
		key: key,
		set: func(t *T, raw any) error {
			vs, err := parseList(raw, parse, show)
			if err == nil && len(vs) < least {
				err = fmt.Errorf("the list is empty: want %d at least", least)
			}
			if err == nil {
				*field(t) = vs
			}
			return err
		},
		text: commas,
		show: func(t *T) string {
			var quoted []string
			for _, v := range *field(t) {
				quoted = append(quoted, quote(show(v)))
			}
			return "[" + strings.Join(quoted, ", ") + "]"
		},
	}
}

func parseList[V comparable](raw any, parse func(string) (V, error), show func(V) string) ([]V, error) {
	items, ok := raw.([]any)
	if !ok {
		return nil, fmt.Errorf("want a list of strings, got %s", shown(raw))
	}
	vs := []V{}
	seen := make(map[V]bool)
	for _, item := range items {
		s, ok := item.(string)
		if !ok {
			return nil, fmt.Errorf("want a list of strings, got %s in it", shown(item))
		}
		v, err := parse(s)
		if err != nil {
			return nil, err
		}
		if seen[v] {
			return nil, fmt.Errorf("%s is there twice: leave one out", show(v))
		}
		seen[v] = true
		vs = append(vs, v)
	}
	return vs, nil
}

// integer is a key whose value is a whole number from lo to hi.
func integer[T any](key string, field func(*T) *int, lo, hi int) setting[T] {
	return setting[T]{
		key: key,
		set: func(t *T, raw any) error {
			n, err := whole(raw, lo, hi)
			if err == nil {
				*field(t) = n
			}
			return err
		},
		text: number,
		show: func(t *T) string { return strconv.Itoa(*field(t)) },
	}
}

// span is a key whose value is a whole number of units of time.
func span[T any](key string, field func(*T) *time.Duration, unit time.Duration, lo, hi int) setting[T] {
	return setting[T]{
		key: key,
		set: func(t *T, raw any) error {
			n, err := whole(raw, lo, hi)
			if err == nil {
				*field(t) = time.Duration(n) * unit
			}
			return err
		},
		text: number,
		show: func(t *T) string { return strconv.FormatInt(int64(*field(t)/unit), 10) },
	}
}

// boolean is a key that is true or false.
func boolean[T any](key string, field func(*T) *bool) setting[T] {
	return setting[T]{
		key: key,
		set: func(t *T, raw any) error {
			b, ok := raw.(bool)
			if !ok {
				return fmt.Errorf("want true or false, got %s", shown(raw))
			}
			*field(t) = b
			return nil
		},
		text: truth,
		show: func(t *T) string { return strconv.FormatBool(*field(t)) },
	}
}

func whole(raw any, lo, hi int) (int, error) {
	n, ok := raw.(int64)
	if !ok || n < int64(lo) || n > int64(hi) {
		return 0, fmt.Errorf("want a whole number from %d to %d, got %s", lo, hi, shown(raw))
	}
	return int(n), nil
}

func number(s string) any {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return s
	}
	return n
}

func truth(s string) any {
	b, err := strconv.ParseBool(s)
	if err != nil {
		return s
	}
	return b
}

func commas(s string) any {
	items := []any{}
	if strings.TrimSpace(s) == "" {
		return items
	}
	for item := range strings.SplitSeq(s, ",") {
		items = append(items, strings.TrimSpace(item))
	}
	return items
}

// oneOf parses one of the words.
func oneOf(words ...string) func(string) (string, error) {
	return func(s string) (string, error) {
		for _, w := range words {
			if s == w {
				return w, nil
			}
		}
		return "", fmt.Errorf("unknown value %s: use %s", shown(s), strings.Join(words, ", "))
	}
}

// shown returns a value for an error message: short, and printable ASCII.
func shown(raw any) string {
	const most = 60
	switch v := raw.(type) {
	case string:
		if len(v) > most {
			return fmt.Sprintf("%+q…", v[:most])
		}
		return fmt.Sprintf("%+q", v)
	case bool, int64, float64:
		return fmt.Sprint(v)
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	}
	return "a date or time"
}

// quote returns a TOML basic string. No value holds control characters.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
