package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// setting is one key: of the file as a whole, or of a row.
type setting struct {
	// name is the key with its table, as in "policy.stripped".
	name string
	// set takes a value as TOML has it, and leaves the old one if it is wrong.
	set func(any) error
	// text makes of a variable's text what TOML would have.
	text func(string) any
	// show returns the value as TOML.
	show func() string
	// live reports whether a reload changes it.
	live bool
}

// form is how values of a type stand in TOML. Its functions are those of a
// [setting].
type form[V any] struct {
	parse func(raw any) (V, error)
	text  func(string) any
	show  func(V) string
}

// key makes the setting of a value.
func key[V any](name string, value *V, f form[V]) setting {
	return setting{name: name, text: f.text, show: func() string { return f.show(*value) }, set: func(raw any) error {
		v, err := f.parse(raw)
		if err == nil {
			*value = v
		}
		return err
	}}
}

// live is a key that a reload changes.
func live[V any](name string, value *V, f form[V]) setting {
	s := key(name, value, f)
	s.live = true
	return s
}

// variables is what the names of our environment variables begin with.
const variables = "TLSRATCHET_"

// variable is the environment variable that overrides the key.
func (s *setting) variable() string {
	return variables + strings.ToUpper(strings.ReplaceAll(s.name, ".", "_"))
}

// flag is the flag that overrides the key, for a trial.
func (s *setting) flag() string {
	if s.name == "policy.stripped" {
		return "action"
	}
	return strings.ReplaceAll(strings.TrimPrefix(s.name, "policy."), "_", "-")
}

// word is the form of a string that stands for something else.
func word[V any](parse func(string) (V, error), show func(V) string) form[V] {
	return form[V]{
		parse: func(raw any) (v V, err error) {
			s, ok := raw.(string)
			if !ok {
				return v, fmt.Errorf("want a string in quotes, got %s", shown(raw))
			}
			return parse(s)
		},
		text: func(s string) any { return s },
		show: func(v V) string { return quote(show(v)) },
	}
}

// text is the form of a string.
func text(parse func(string) (string, error)) form[string] { return word(parse, same) }

func same(s string) string { return s }

// list is the form of a list of strings, none of them twice and at least so
// many. In a variable they are separated by commas.
func list[V comparable](least int, parse func(string) (V, error), show func(V) string) form[[]V] {
	one := word(parse, show)
	return form[[]V]{
		parse: func(raw any) ([]V, error) {
			items, ok := raw.([]any)
			if !ok {
				return nil, fmt.Errorf("want a list of strings, got %s", shown(raw))
			}
			if len(items) < least {
				return nil, fmt.Errorf("the list is empty: want %d at least", least)
			}
			vs, seen := []V{}, make(map[V]bool)
			for _, item := range items {
				if _, ok := item.(string); !ok {
					return nil, fmt.Errorf("want a list of strings, got %s in it", shown(item))
				}
				v, err := one.parse(item)
				if err != nil {
					return nil, err
				}
				if seen[v] {
					return nil, fmt.Errorf("%s is listed twice: leave one out", show(v))
				}
				seen[v] = true
				vs = append(vs, v)
			}
			return vs, nil
		},
		text: commas,
		show: func(vs []V) string {
			var quoted []string
			for _, v := range vs {
				quoted = append(quoted, one.show(v))
			}
			return "[" + strings.Join(quoted, ", ") + "]"
		},
	}
}

// integer is the form of a whole number from lo to hi.
func integer(lo, hi int) form[int] { return span(1, lo, hi) }

// span is the form of a whole number of units, of time for example.
func span[V int | time.Duration](unit V, lo, hi int) form[V] {
	return form[V]{
		parse: func(raw any) (V, error) {
			n, ok := raw.(int64)
			if !ok || n < int64(lo) || n > int64(hi) {
				return 0, fmt.Errorf("want a whole number from %d to %d, got %s", lo, hi, shown(raw))
			}
			return V(n) * unit, nil
		},
		text: number,
		show: func(v V) string { return strconv.FormatInt(int64(v/unit), 10) },
	}
}

// policyWord stands for the number of [policy].
const policyWord = "policy"

// asPolicy is the form of a whole number, or of "policy" for the number of the
// same name in [policy], which is 0 here.
func asPolicy(lo, hi int) form[int] {
	f := integer(lo, hi)
	return form[int]{
		parse: func(raw any) (int, error) {
			if raw == policyWord {
				return 0, nil
			}
			n, err := f.parse(raw)
			if err != nil {
				err = fmt.Errorf("%w, or %q", err, policyWord)
			}
			return n, err
		},
		text: number,
		show: func(n int) string {
			if n == 0 {
				return quote(policyWord)
			}
			return f.show(n)
		},
	}
}

// boolean is the form of true and false.
func boolean() form[bool] {
	return form[bool]{
		parse: func(raw any) (bool, error) {
			b, ok := raw.(bool)
			if !ok {
				return false, fmt.Errorf("want true or false, got %s", shown(raw))
			}
			return b, nil
		},
		text: truth,
		show: strconv.FormatBool,
	}
}

func number(s string) any { return orText(s)(strconv.ParseInt(s, 10, 64)) }

func truth(s string) any { return orText(s)(strconv.ParseBool(s)) }

// orText returns what was parsed, or the text where it could not be.
func orText(s string) func(parsed any, err error) any {
	return func(parsed any, err error) any {
		if err != nil {
			return s
		}
		return parsed
	}
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

// oneOf is the form of one of the words.
func oneOf(words ...string) form[string] { return named("value", same, words...) }

// named is the form of one of the values, by its name. what is what they are.
func named[V any](what string, name func(V) string, values ...V) form[V] {
	return word(func(s string) (none V, _ error) {
		var names []string
		for _, v := range values {
			if names = append(names, name(v)); name(v) == s {
				return v, nil
			}
		}
		return none, fmt.Errorf("unknown %s %s: use %s", what, shown(s), strings.Join(names, ", "))
	}, name)
}

// optional is the form of a value that may be unset: nil.
func optional[V any](f form[V]) form[*V] {
	return form[*V]{
		parse: func(raw any) (*V, error) {
			v, err := f.parse(raw)
			return &v, err
		},
		text: f.text,
		show: func(v *V) string {
			if v == nil {
				return ""
			}
			return f.show(*v)
		},
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
	case bool, int64:
		return fmt.Sprint(v)
	case float64: // 5.0 is no 5
		return fmt.Sprintf("%g (with a point or an exponent)", v)
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
