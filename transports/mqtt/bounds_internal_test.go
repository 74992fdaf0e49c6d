package mqtt

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestIDSet(t *testing.T) {
	var s idSet
	require.False(t, s.drop(1), "of none")
	for i := range 1 << 16 {
		id := uint16(i * 64081) // odd: all of them, in no order
		require.False(t, s.has(id))
		s.add(id)
		s.add(id)
		require.True(t, s.has(id))
		require.Equal(t, i+1, s.n)
		if i+1 == sparse {
			require.Nil(t, s.many)
			require.True(t, s.pack())
		}
	}
	require.Nil(t, s.few)
	require.False(t, s.pack(), "too many")
	for id := range 1<<16 - sparse {
		require.True(t, s.drop(uint16(id)))
		require.False(t, s.drop(uint16(id)))
	}
	require.True(t, s.pack())
	require.Nil(t, s.many)
	require.Len(t, s.few, sparse)
	for id := 1<<16 - sparse; id < 1<<16; id++ {
		require.True(t, s.drop(uint16(id)))
		require.False(t, s.drop(uint16(id)))
	}
	require.Equal(t, idSet{}, s, "what is empty takes no memory")
}

func TestSubscription_isItsFilterAgain(t *testing.T) {
	filters := []string{
		attributeTopic, responsePrefix + "+", rpcRequests + "+", rpcResponses + "+",
		responsePrefix + "0", responsePrefix + "007", rpcRequests + "9999999999", rpcResponses + "12",
	}
	for _, filter := range filters {
		s := remember(filter, 268_435_455)
		require.Equal(t, filter, s.filter())
		require.Equal(t, uint32(268_435_455), s.identifier)
	}
}
