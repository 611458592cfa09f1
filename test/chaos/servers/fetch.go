package servers

import (
	"path/filepath"

	"tlsratchet/test/apt"
)

// Kind is which server it is.
type Kind string

// The servers that there are.
const (
	Redis  Kind = "redis"
	Valkey Kind = "valkey"
)

// Kinds are all of them.
var Kinds = []Kind{Redis, Valkey}

// backports is where Debian 12 has Valkey, which its own release has not.
const backports = "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm-backports main\n"

// libraries are those that a small system lacks.
var libraries = []string{"libatomic1", "libjemalloc2", "liblzf1"}

// Fetch returns the folder that a server is unpacked in, and puts it there if
// it isn't. It needs apt-get and dpkg; an error says what is missing.
func Fetch(kind Kind) (root string, err error) {
	set := apt.Set{
		Folder: filepath.Join("servers", string(kind)), Packages: libraries,
		Program: program(kind), Args: []string{"--version"},
	}
	server := []string{string(kind) + "-server", string(kind) + "-tools"}
	if kind == Valkey {
		set.Elsewhere, set.Source = server, backports
	} else {
		set.Packages = append(server, libraries...)
	}
	return apt.Root(set)
}

func program(kind Kind) string { return "usr/bin/" + string(kind) + "-server" }
