# Counts, saves each step, and goes on from the last one that was saved.
n=$(cat "$BUOY_CHECKPOINT_DIR/n" 2>/dev/null || echo 0)
echo "attempt $BUOY_ATTEMPT goes on from $n, as $(id -un)"
while [ "$n" -lt "$1" ]; do
  n=$((n + 1))
  echo "$n" >"$BUOY_CHECKPOINT_DIR/n.tmp" && mv "$BUOY_CHECKPOINT_DIR/n.tmp" "$BUOY_CHECKPOINT_DIR/n"
  sleep 0.1
done
echo "$n" >result.txt
