//! Networks: bridges, addresses, published ports, and the files that tell a container of them.
