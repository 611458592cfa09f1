package main

import (
	"encoding"
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tlsratchet/internal/admin"
	"tlsratchet/internal/alert"
	"tlsratchet/internal/doctor"
	"tlsratchet/internal/incident"
	"tlsratchet/internal/outbound"
)

// Each key of what --json and alerts print is in the section that describes it.
func TestKeysAreDocumented(t *testing.T) {
	for _, s := range []struct {
		page, heading string
		printed       any
	}{
		{"commands", "`export`, `import`", admin.Imported{}},
		{"commands", "`peers`, `peer show`", admin.Detail{}},
		{"commands", "`explain`", admin.Answer{}},
		{"commands", "`report`", report{}},
		{"commands", "`doctor`", doctor.Finding{}},
		{"commands", "`outbound`", outbound.Overview{}},
		{"commands", "`outbound`", outbound.Explanation{}},
		{"commands", "`breaker`", breakerShown{}},
		{"commands", "`replay`", replayShown{}},
		{"alerts", "The JSON of an incident", incident.Incident{}},
		{"alerts", "Destinations", alert.Message{}},
		{"alerts", "The tally", incident.Tally{}},
	} {
		text, err := os.ReadFile("../../docs/" + s.page + ".md")
		if err != nil {
			t.Fatal(err)
		}
		_, section, found := strings.Cut(string(text), "\n## "+s.heading)
		if !found {
			t.Errorf("%s.md has no section %s", s.page, s.heading)
			continue
		}
		section, _, _ = strings.Cut(section, "\n## ")
		all := keys(reflect.TypeOf(s.printed))
		slices.Sort(all)
		for _, key := range slices.Compact(all) {
			if !strings.Contains(section, "`"+key+"`") && !strings.Contains(section, `"`+key+`":`) {
				t.Errorf("%s.md, %s: no %s of %T", s.page, s.heading, key, s.printed)
			}
		}
	}
}

// The keys of a history, which marshals itself, are those of its table.
func TestHistoryKeysAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/commands.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"json.go", "history.go"} {
		code, err := os.ReadFile("../../tlsstate/" + file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`json:"(\w+)`).FindAllSubmatch(code, -1) {
			if !strings.Contains(string(text), "`"+string(m[1])+"`") {
				t.Errorf("commands.md has no %s", m[1])
			}
		}
	}
}

// elsewhere are keys whose values another section describes, or none where they
// are not for programs.
var elsewhere = []string{"applied", "incident", "policy", "reported", "without_tls"}

// keys are those of a type's JSON, and of what it holds.
func keys(typ reflect.Type) (all []string) {
	switch typ.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return keys(typ.Elem())
	case reflect.Struct:
	default:
		return nil
	}
	for _, own := range []any{(*encoding.TextMarshaler)(nil), (*json.Marshaler)(nil)} {
		if typ.Implements(reflect.TypeOf(own).Elem()) {
			return nil
		}
	}
	for i := range typ.NumField() {
		f := typ.Field(i)
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case key == "-" || key == "reminded" || key == "" && !f.Anonymous:
			continue
		case key != "":
			all = append(all, key)
		}
		if !slices.Contains(elsewhere, key) {
			all = append(all, keys(f.Type)...)
		}
	}
	return all
}
