# Runs one PostgreSQL server for as long as a test process holds a lease on it, then stops it.
# Arguments: the command of the server. The working directory holds `leases`.
# Standard input is the locked file that tells others that this watchdog lives: no child may keep it.
"$@" </dev/null >>server.log 2>&1 &
server=$!

if command -v flock >/dev/null 2>&1; then
    held() { ! flock -n "$1" true </dev/null; }
else
    held() { lease=${1##*/}; kill -0 "${lease%%.*}" 2>/dev/null; }
fi

occupied() {
    for lease_file in "$1"/*; do
        [ -e "$lease_file" ] || continue
        held "$lease_file" && return 0
        rm -f "$lease_file"
    done
    return 1
}

# The next test binary of the same run is seconds away: an idle server waits for it.
idle=0
while kill -0 $server 2>/dev/null; do
    sleep 1 </dev/null
    if occupied leases; then idle=0; continue; fi
    idle=$((idle + 1))
    [ $idle -ge 2 ] || continue
    # Closing the door first, then looking once more who is inside: nobody can slip in unseen.
    mv leases closed || break
    occupied closed || break
    mv closed leases
    idle=0
done
kill -INT $server 2>/dev/null
wait $server
