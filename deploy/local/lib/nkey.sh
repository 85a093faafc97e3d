# shellcheck shell=bash
# Keys of NATS (nkeys): text forms of Ed25519 and Curve25519 keys, after github.com/nats-io/nkeys. openssl does the
# arithmetic; the text is base32 of a prefix, the 32 bytes and a checksum.

# KIND is account (A…) or curve (X…). Prints a seed (SA…, SX…).
nkey_seed() { nkey_text "$(nkey_prefixes "$1" seed)$(random_hex 32)"; }

# Prints the public key of a seed that nkey_seed made.
nkey_public() {
    local kind=$1 seed=$2 secret algorithm=70
    [[ $kind == account ]] || algorithm=6e
    # The seed's text is padded for base32; its two prefix bytes are in front.
    secret=$(base32 --decode <<<"$seed======" | od -An -v -tx1 | tr -d ' \n')
    secret=${secret:4:64}
    # PKCS 8 (RFC 8410); the public key is the last 32 bytes of the other form.
    nkey_text "$(nkey_prefixes "$kind" public)$(nkey_bytes "302e020100300506032b65${algorithm}04220420$secret" |
        openssl pkey -inform DER -pubout -outform DER | tail -c 32 | od -An -v -tx1 | tr -d ' \n')"
}

# In hex. In a seed, the kind's five bits follow those of "seed" over two bytes.
nkey_prefixes() {
    case $1-$2 in
        account-seed) say 9000 ;;
        account-public) say 00 ;;
        curve-seed) say 95c0 ;;
        curve-public) say b8 ;;
    esac
}

nkey_text() {
    local hex=$1 crc=0 i bit
    # CRC-16/XMODEM, low byte first.
    for ((i = 0; i < ${#hex}; i += 2)); do
        ((crc ^= 16#${hex:i:2} << 8, 1))
        for ((bit = 0; bit < 8; bit++)); do
            ((crc = (crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1) & 0xffff, 1))
        done
    done
    nkey_bytes "$hex$(printf '%02x%02x' $((crc & 0xff)) $((crc >> 8)))" | base32 --wrap=0 | tr -d '='
}

nkey_bytes() {
    local escaped
    # shellcheck disable=SC2001
    escaped=$(sed 's/../\\x&/g' <<<"$1")
    printf '%b' "$escaped"
}
