"""How a search finds a rate: the race, and the loop that trains what it asks for."""
