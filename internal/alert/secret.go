package alert

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxSecret is the length, in bytes, of the longest secret.
const maxSecret = 4096

// Secret reads what a reference names: "file:/path", the first line of a file,
// or "env:NAME", a variable as env finds it ([os.LookupEnv]). "" is no secret.
// The error never holds the secret.
func Secret(ref string, env func(string) (string, bool)) (string, error) {
	form, name, _ := strings.Cut(ref, ":")
	switch {
	case ref == "":
		return "", nil
	case form == "env" && name != "":
		value, ok := env(name)
		if !ok {
			return "", fmt.Errorf("the variable %s is not set", name)
		}
		return checkSecret(value, "the variable "+name)
	case form == "file" && name != "":
		value, err := readSecret(name)
		if err != nil {
			return "", fmt.Errorf("read a secret: %w", err)
		}
		return checkSecret(value, name)
	}
	return "", errors.New("want file:/path or env:NAME, not the secret itself")
}

func readSecret(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	line, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSuffix(line, "\r"), err
}

func checkSecret(value, where string) (string, error) {
	switch {
	case value == "":
		return "", fmt.Errorf("%s is empty", where)
	case len(value) > maxSecret:
		return "", fmt.Errorf("%s holds more than %d bytes", where, maxSecret)
	case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }):
		return "", fmt.Errorf("%s holds characters other than printable ASCII", where)
	}
	return value, nil
}
