package peer

import "strings"

// Address returns the address in the argument of MAIL or RCPT (RFC 5321 section
// 4.1.2) as Postfix reads it: without angle brackets and what stands around them.
// Comments, nested ones too, and white space outside of quoted strings are left out
// (RFC 5322 sections 3.2.2, 3.4).
func Address(path string) string {
	path = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(path), "<"), ">")
	if !strings.ContainsAny(path, "( \t<>") {
		return path
	}
	var kept strings.Builder
	quoted, comment := false, 0
	for i := 0; i < len(path); i++ {
		from := i
		switch c := path[i]; {
		case c == '\\' && i+1 < len(path): // what follows it means itself
			i++
		case c == '"' && comment == 0:
			quoted = !quoted
		case quoted:
		case c == '(':
			comment++
		case c == ')' && comment > 0:
			comment--
			continue
		case comment > 0, c == ' ', c == '\t':
			continue
		case c == '<':
			kept.Reset()
			continue
		case c == '>':
			return kept.String()
		}
		if comment == 0 {
			kept.WriteString(path[from : i+1])
		}
	}
	return kept.String()
}
