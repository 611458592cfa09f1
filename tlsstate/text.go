package tlsstate

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// In JSON, as a value and as a key, all of these are what String returns; a day
// that is never is "". An error of UnmarshalText says what would have been
// right.

// MarshalText implements [encoding.TextMarshaler].
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (l *Level) UnmarshalText(b []byte) (err error) {
	*l, err = ParseLevel(string(b))
	return err
}

// MarshalText implements [encoding.TextMarshaler].
func (a Action) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (a *Action) UnmarshalText(b []byte) (err error) {
	*a, err = ParseAction(string(b))
	return err
}

// MarshalText implements [encoding.TextMarshaler].
func (e Enforce) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (e *Enforce) UnmarshalText(b []byte) (err error) {
	*e, err = parseWord[Enforce]("value", string(b), enforceNames[:])
	return err
}

// MarshalText implements [encoding.TextMarshaler].
func (id Identity) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (id *Identity) UnmarshalText(b []byte) (err error) {
	*id, err = ParseIdentity(string(b))
	return err
}

// MarshalText implements [encoding.TextMarshaler].
func (d Downgrade) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (d *Downgrade) UnmarshalText(b []byte) (err error) {
	*d, err = parseWord[Downgrade]("kind", string(b), downgradeNames[:])
	return err
}

// MarshalText implements [encoding.TextMarshaler].
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (o *Outcome) UnmarshalText(b []byte) (err error) {
	*o, err = parseWord[Outcome]("outcome", string(b), outcomeNames[:])
	return err
}

// word returns the name of a value, or unknown(9) for one that has none.
func word[T ~uint8](v T, names []string) string {
	if int(v) < len(names) && names[v] != "" {
		return names[v]
	}
	return fmt.Sprintf("unknown(%d)", uint8(v))
}

// parseWord is the inverse of word. The error names what there is.
func parseWord[T ~uint8](what, s string, names []string) (T, error) {
	if n := slices.Index(names, s); n >= 0 && s != "" {
		return T(n), nil
	}
	return 0, fmt.Errorf("unknown %s %.32q: use %s", what, s, strings.Join(names, ", "))
}

// MarshalText implements [encoding.TextMarshaler].
func (d Day) MarshalText() ([]byte, error) {
	if d == 0 {
		return nil, nil
	}
	return []byte(d.String()), nil
}

// UnmarshalText is the inverse of MarshalText.
func (d *Day) UnmarshalText(b []byte) error {
	if *d = 0; len(b) == 0 {
		return nil
	}
	t, err := time.Parse(time.DateOnly, string(b))
	if err != nil {
		return fmt.Errorf("day %.32q: want the form 2026-09-21", b)
	}
	if *d = DayOf(t); d.String() != string(b) {
		return fmt.Errorf("day %q: want 1970-01-02 to %s", b, Day(1<<16-1))
	}
	return nil
}
