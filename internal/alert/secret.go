package alert

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"tlsratchet/internal/clean"
)

// maxSecret is the length, in bytes, of the longest secret.
const maxSecret = 4096

// secret reads what a reference names: "file:/path", the first line of a file,
// or "env:NAME", a variable as env finds it ([os.LookupEnv]). "" is no secret.
// The error never holds the secret.
func secret(ref string, env func(string) (string, bool)) (value string, err error) {
	form, where, _ := strings.Cut(ref, ":")
	switch {
	case ref == "":
		return "", nil
	case form == "env" && where != "":
		var ok bool
		if value, ok = env(where); !ok {
			return "", fmt.Errorf("the variable %s is not set", where)
		}
		where = "the variable " + where
	case form == "file" && where != "":
		if value, err = firstLine(where); err != nil {
			return "", fmt.Errorf("read a secret: %w", err)
		}
	default:
		return "", errors.New("want file:/path or env:NAME, not the secret itself")
	}
	switch {
	case value == "":
		return "", fmt.Errorf("%s is empty", where)
	case len(value) > maxSecret:
		return "", fmt.Errorf("%s holds more than %d bytes", where, maxSecret)
	case clean.Text(value, maxSecret) != value:
		return "", fmt.Errorf("%s holds characters other than printable ASCII", where)
	}
	return value, nil
}

func firstLine(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	line, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSuffix(line, "\r"), err
}
