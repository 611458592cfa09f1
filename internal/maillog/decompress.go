package maillog

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"fmt"
	"io"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// decompressed returns what r holds in clear, by its first bytes, and the time
// of the file if the compression keeps it. Call done when done.
func decompressed(r io.Reader) (plain io.Reader, at time.Time, done func(), err error) {
	b := bufio.NewReaderSize(r, 1<<16)
	done = func() {}
	magic, err := b.Peek(6)
	if err != nil && err != io.EOF {
		return nil, at, nil, err
	}
	err = nil
	is := func(start string) bool { return bytes.HasPrefix(magic, []byte(start)) }
	name := ""
	switch {
	case is("\x1f\x8b"):
		name = "gzip"
		var z *gzip.Reader
		if z, err = gzip.NewReader(b); err == nil && z.ModTime.Unix() > 0 { // 0 is none (RFC 1952 section 2.3.1)
			at = z.ModTime
		}
		plain = z
	case is("\x28\xb5\x2f\xfd"):
		name = "zstd"
		var z *zstd.Decoder
		if z, err = zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow)); err == nil {
			done = z.Close
		}
		plain = z
	case is("\xfd7zXZ\x00"):
		name = "xz"
		plain, err = xz.NewReader(b)
	case is("BZh"):
		plain = bzip2.NewReader(b)
	default:
		return b, at, done, nil
	}
	if err != nil {
		return nil, at, nil, fmt.Errorf("%s: %w", name, err)
	}
	return plain, at, done, nil
}

// maxWindow bounds the memory of a decompression: zstd --long has 128 MiB.
const maxWindow = 128 << 20
