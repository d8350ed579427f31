#!/bin/sh
# @NAME@ @VERSION@ in one file: this script, then the Deno @DENO_VERSION@ runtime (@TARGET@) and the program, gzipped.
#
# The first run unpacks both into a private cache; every run then becomes the runtime by exec, so that process id,
# signals, standard streams and exit code are the program's own. Nothing is written to stdout, stdin is not read.
#
# Set for the program:
#   @ENV@_SELF       absolute path of this file, to start further processes from
#   @ENV@_ARGV0      the name this file was called by (its own, or that of a link to it), without folder
#   @ENV@_DENO_DIR   the caller's DENO_DIR or nothing: DENO_DIR itself is private to this runtime, so a program
#                    that starts other programs puts it back first
# Taken from the caller:
#   @ENV@_CACHE_DIR  absolute path of the cache. Otherwise the first usable one of $XDG_CACHE_HOME/@NAME@,
#                    ~/.cache/@NAME@ and $TMPDIR/@NAME@-<user id>
#
# A cache directory has to belong to this user and be writable by nobody else. Each part is unpacked beside its place,
# checked, and moved there by one rename: it is complete or absent, however many first runs there are or die.
# A part that no run has used for 180 days is removed when another version unpacks.
set -u
runtime=@RUNTIME_ID@
app=@APP_ID@

die() {
  printf '%s: %s\n' '@NAME@' "$1" >&2
  exit 126
}

# only_ours DIR: a real directory (no link) of this user that nobody else can write
only_ours() {
  [ -O "$1" ] || return 1
  case $(ls -ld -- "$1" 2>/dev/null) in d????-??-*) ;; *) return 1 ;; esac
}

# ready DIR: DIR holds both parts
ready() {
  [ -x "$1/$runtime/deno" ] && [ -f "$1/$runtime/.ok" ] && [ -f "$1/$app/.ok" ] && only_ours "$1"
}

# launch DIR ARG...: become the program
launch() {
  dir=$1
  shift
  { true > "$dir/$runtime/.ok"; true > "$dir/$app/.ok"; } 2>/dev/null # used today; a read-only cache stays as it is
  export @ENV@_SELF="$self" @ENV@_ARGV0="${0##*/}" @ENV@_DENO_DIR="${DENO_DIR-}"
  export DENO_DIR="$dir/$app/$runtime" # two runtimes on one DENO_DIR evict each other's compiled code
  export DENO_NO_UPDATE_CHECK=1
  unset DENO_KV_DB_MODE DENO_KV_DEFAULT_PATH DENO_KV_PATH_PREFIX # would put the store in memory, or elsewhere
  exec "$dir/$runtime/deno" run --quiet --no-config --no-lock --no-remote --no-npm --cached-only --no-prompt \
    @FLAGS@ "$dir/$app/@ENTRY@" "$@"
}

sha256() {
  if command -v sha256sum >/dev/null; then sha256sum < "$1"
  elif command -v shasum >/dev/null; then shasum -a 256 < "$1"
  else openssl dgst -sha256 -r < "$1"
  fi | cut -c 1-64
}

# extract OFFSET LENGTH SIZE SHA256: the part that starts OFFSET bytes before the end of this file, into $new/part
extract() {
  tail -c "$1" "$self" | head -c "$2" | gzip -dc > "$new/part"
  if [ "$(wc -c < "$new/part")" -ne "$3" ] || [ "$(sha256 "$new/part")" != "$4" ]; then
    why="not enough space there, or $self is damaged"
    return 1
  fi
}

# place DIR PART: move the finished $new/PART into DIR, unless another run was faster
place() {
  true > "$new/$2/.ok"
  sync "$new/$2"/* "$new/$2/.ok"
  [ ! -d "$1/$2" ] || [ -f "$1/$2/.ok" ] || mv "$1/$2" "$new/old-$2" # what a cleaner of old files has left over
  mv "$new/$2" "$1/" || [ -f "$1/$2/.ok" ] || { why="cannot move files in it"; return 1; }
}

unpack_runtime() {
  [ ! -f "$1/$runtime/.ok" ] || [ ! -x "$1/$runtime/deno" ] || return 0
  extract @RUNTIME_OFFSET@ @RUNTIME_LENGTH@ @RUNTIME_SIZE@ @RUNTIME_SHA256@ || return 1
  mkdir "$new/$runtime" && mv "$new/part" "$new/$runtime/deno" && chmod 700 "$new/$runtime/deno"
  "$new/$runtime/deno" --version || { why="the runtime does not run there (a noexec mount?) or on this system"; return 1; }
  place "$1" "$runtime"
}

unpack_app() {
  [ ! -f "$1/$app/.ok" ] || return 0
  extract @APP_OFFSET@ @APP_LENGTH@ @APP_SIZE@ @APP_SHA256@ || return 1
  mkdir "$new/$app" && (cd "$new/$app" && unset TAR_OPTIONS && tar -xof ../part) || { why="tar failed"; return 1; }
  place "$1" "$app"
}

# unpack DIR: make DIR ready, or say in $why what stopped it
unpack() {
  [ -d "$1" ] || (umask 077 && mkdir -p "$1") || { why="cannot create it"; return 1; }
  only_ours "$1" || { why="is a link, another user's, or writable by others"; return 1; }
  new=$(mktemp -d "$1/.new.XXXXXX") || { why="cannot write in it"; return 1; }
  trap 'rm -rf "$new"' 0
  trap 'exit 129' 1
  trap 'exit 130' 2
  trap 'exit 143' 15
  find "$1" -maxdepth 1 -name '.new.*' -mmin +60 -exec rm -rf {} + # of runs that were killed
  find "$1" -maxdepth 2 -name .ok -mtime +180 -exec sh -c 'mv "${1%/.ok}" "$2/old-$$"' - {} "$new" \;
  why="its content is unusable: remove it"
  unpack_runtime "$1" && unpack_app "$1" && ready "$1"
  result=$?
  rm -rf "$new"
  trap - 0 1 2 15
  return $result
}

# shared_tmp: the directory of last resort, printed. Nobody else may be able to swap it for another one.
shared_tmp() {
  tmp=${TMPDIR:-/tmp}
  if ! only_ours "$tmp/."; then
    case $(ls -ldn -- "$tmp/." 2>/dev/null | tr -s ' ' | cut -d ' ' -f 1,3) in d????????[tT]*' 0') ;; *) return 1 ;; esac
  fi
  printf '%s\n' "$tmp/@NAME@-$(id -u)"
}

case $0 in
  /*) self=$0 ;;
  */*) self=$PWD/${0#./} ;;
  *) self=$PWD/$0; [ -f "$self" ] || self=$(command -v "$0") ;; # sh @NAME@
esac

if [ -n "${@ENV@_CACHE_DIR-}" ]; then
  first=$@ENV@_CACHE_DIR second='' last=''
  case $first in /*) ;; *) die "@ENV@_CACHE_DIR is $first: give an absolute path" ;; esac
else
  first=${XDG_CACHE_HOME:+$XDG_CACHE_HOME/@NAME@} second='' last=tmp
  if [ -n "${HOME-}" ] && [ -d "$HOME/" ]; then second=$HOME/.cache/@NAME@; fi
fi

for attempt in ready unpack; do
  reasons=
  for dir in "$first" "$second" "$last"; do
    why=
    if [ "$dir" = tmp ]; then dir=$(shared_tmp) || { dir=${TMPDIR:-/tmp} why="others could swap directories in it"; }; fi
    case $dir in /*) ;; *) continue ;; esac
    if [ -z "$why" ] && $attempt "$dir" </dev/null >/dev/null 2>&1; then launch "$dir" "$@"; fi
    reasons="$reasons
  $dir: $why"
  done
done
die "cannot unpack; set @ENV@_CACHE_DIR to a directory of yours that may hold programs:$reasons"
